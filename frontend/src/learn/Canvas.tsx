// A canvas that is drawn after each render, and again when its size or the colours of the page change.

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { useDark } from "../theme";

export interface CanvasProps {
  draw: (canvas: HTMLCanvasElement) => void;
  label: string; // what it shows, for who does not see it
  class?: string;
  height?: number; // in pixels, where the style does not say it
  onClick?: (event: MouseEvent, canvas: HTMLCanvasElement) => void;
}

export function Canvas({ draw, label, class: name, height, onClick }: CanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const latest = useRef(draw);
  latest.current = draw;
  useDark();
  useLayoutEffect(() => draw(canvas.current!));
  useEffect(() => {
    const sizes = new ResizeObserver(() => canvas.current && latest.current(canvas.current));
    sizes.observe(canvas.current!);
    return () => sizes.disconnect();
  }, []);
  return <canvas ref={canvas} class={name} style={height ? { height: `${height}px` } : {}} role="img" aria-label={label} onClick={(event) => onClick?.(event, canvas.current!)} />;
}
