// A canvas with what it is called, what may be chosen of it, and a menu that saves it.

import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { Menu } from "../chart/Menu";
import { type Cells, type Picture, saveCsv } from "../chart/save";
import { Canvas, type CanvasProps } from "./Canvas";
import { type Surface, begin, css } from "./draw/canvas";
import { SvgPen } from "./draw/svg";

interface Props extends Omit<CanvasProps, "draw"> {
  title: string;
  draw: (surface: Surface) => void;
  numbers: () => [string[], Cells[]];
  children?: ComponentChildren; // above it, beside the menu
}

export function Drawing({ title, draw, numbers, children, ...canvas }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const picture = (): Picture => {
    const pen = new SvgPen(box.current!.querySelector("canvas")!);
    const { theme } = begin(pen);
    draw(pen);
    return pen.picture(css(theme.paper));
  };
  return (
    <div class="drawing" ref={box}>
      <div class="together">{children}<Menu title={title} drawing={picture} csv={() => saveCsv(...numbers(), title)} /></div>
      <Canvas draw={draw} {...canvas} />
    </div>
  );
}
