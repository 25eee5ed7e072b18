// What all drawings share: the canvas in device pixels, colours of the page, images, contours, marks.
// Colours are joined by marks, dashes and borders, so that no picture needs them to be read.

import { linear, logarithmic } from "../../chart/scale";
import { isDark } from "../../theme";
import { type Pen, SvgPen } from "./svg";

export type Colour = [number, number, number];

export const MARKS = ["●", "■", "▲", "◆", "✚"];
const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#b0578d", "#a87500", "#6b7785"];
const DARK = ["#56b4e9", "#ff9457", "#3fcf9f", "#e59ac6", "#e6bb45", "#a3aebb"];

export interface Theme {
  paper: Colour;
  ink: string;
  muted: string;
  line: string;
  colours: string[]; // of classes, of lanes; the first two are above and below zero
  rgb: Colour[];
}

// Colours of classes and of lanes, on light paper and on dark.
export function colours(): string[] {
  return isDark() ? DARK : LIGHT;
}

// Where a drawing goes: onto the screen, or into a file.
export type Surface = HTMLCanvasElement | SvgPen;

export interface Sheet {
  context: Pen;
  width: number;
  height: number;
  theme: Theme;
}

export function bytes(base64: string): Uint8Array {
  const raw = atob(base64);
  const found = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) found[i] = raw.charCodeAt(i);
  return found;
}

// The surface cleared, as large as the layout makes it, with the colours of the page as they are now.
export function begin(surface: Surface): Sheet {
  const canvas = surface instanceof SvgPen ? surface.canvas : surface;
  const width = Math.max(1, canvas.clientWidth);
  const height = Math.max(1, canvas.clientHeight);
  const context = surface instanceof SvgPen ? surface : cleared(surface, width, height);
  context.globalAlpha = 1;
  context.lineWidth = 1;
  context.setLineDash([]);
  context.font = "12px system-ui, sans-serif";
  return { context, width, height, theme: themeOf(canvas) };
}

let known: { name: string; theme: Theme } | null = null;

// The colours of the page: asked for once, until they change.
function themeOf(canvas: HTMLCanvasElement): Theme {
  const name = isDark() ? "dark" : "light";
  if (known?.name === name) return known.theme;
  const style = getComputedStyle(canvas);
  const colour = (of: string) => style.getPropertyValue(of).trim();
  const theme = {
    paper: rgb(colour("--surface")),
    ink: colour("--ink"),
    muted: colour("--muted"),
    line: colour("--line"),
    colours: colours(),
    rgb: colours().map(rgb),
  };
  known = { name, theme };
  return theme;
}

function cleared(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const scale = window.devicePixelRatio || 1;
  const size = [Math.round(width * scale), Math.round(height * scale)] as const;
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const context = canvas.getContext("2d")!;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.imageSmoothingEnabled = true;
  return context;
}

export function css(colour: Colour): string {
  return `rgb(${colour.map(Math.round).join(",")})`;
}

export function mixed(from: Colour, to: Colour, share: number): Colour {
  return from.map((value, i) => value + share * (to[i]! - value)) as Colour;
}

interface Raster {
  canvas: HTMLCanvasElement;
  context: CanvasRenderingContext2D;
  data: ImageData;
  pixels: Uint32Array;
}
const rasters = new Map<string, Raster>();

function rasterOf(columns: number, rows: number): Raster {
  const size = `${columns} ${rows}`;
  const there = rasters.get(size);
  if (there) return there;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns, rows];
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  const data = context.createImageData(columns, rows);
  const made = { canvas, context, data, pixels: new Uint32Array(data.data.buffer) };
  if (rasters.size > 20) rasters.clear();
  rasters.set(size, made);
  return made;
}

// An image of columns x rows cells, until the next of this size; row 0 lies at the bottom, as the second coordinate grows
// upwards. colour gives a cell as 0xbbggrr: one number, since this is done for some ten thousand cells a picture.
export function image(columns: number, rows: number, colour: (cell: number) => number): HTMLCanvasElement {
  const { canvas, context, data, pixels } = rasterOf(columns, rows);
  for (let row = 0; row < rows; row++) {
    const begins = (rows - 1 - row) * columns;
    for (let column = 0; column < columns; column++) pixels[begins + column] = 0xff000000 | colour(row * columns + column);
  }
  context.putImageData(data, 0, 0);
  return canvas;
}

// The part of an image that begins so many rows below its top.
export function drawRows(context: Pen, from: HTMLCanvasElement, top: number, rows: number, x: number, y: number, size: number): void {
  if (!(context instanceof SvgPen)) {
    (context as CanvasRenderingContext2D).drawImage(from, 0, top, from.width, rows, x, y, size, size);
    return;
  }
  const part = document.createElement("canvas");
  [part.width, part.height] = [from.width, rows];
  part.getContext("2d")!.drawImage(from, 0, -top);
  context.drawImage(part, x, y, size, size);
}

export function packed([r, g, b]: Colour): number {
  return (Math.round(b) << 16) | (Math.round(g) << 8) | Math.round(r);
}

// Adds to the path the line where a field of columns x rows is 0, over the whole sheet: marching squares.
export function contour({ context, width, height }: Sheet, field: ArrayLike<number>, columns: number, rows: number): void {
  const across = width / (columns - 1);
  const up = height / (rows - 1);
  for (let row = 0; row + 1 < rows; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      const at = row * columns + column;
      const above = field[at]! > 0;
      if (field[at + 1]! > 0 === above && field[at + columns + 1]! > 0 === above && field[at + columns]! > 0 === above) continue;
      const corners = [field[at]!, field[at + 1]!, field[at + columns + 1]!, field[at + columns]!];
      let open = false;
      for (let edge = 0; edge < 4; edge++) {
        const a = corners[edge]!;
        const b = corners[(edge + 1) % 4]!;
        if (a > 0 === b > 0 || !Number.isFinite(a) || !Number.isFinite(b)) continue;
        const t = a / (a - b);
        const x = column + [t, 1, 1 - t, 0][edge]!;
        const y = row + [0, t, 1, 1 - t][edge]!;
        if (open) context.lineTo(x * across, height - y * up);
        else context.moveTo(x * across, height - y * up);
        open = !open;
      }
    }
  }
}

const SHAPES: [number, number][][] = [
  [],
  [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
  [[0, -1.15], [1.1, 0.85], [-1.1, 0.85]],
  [[0, -1.25], [1.1, 0], [0, 1.25], [-1.1, 0]],
  [
    [-0.42, -1.15], [0.42, -1.15], [0.42, -0.42], [1.15, -0.42], [1.15, 0.42], [0.42, 0.42],
    [0.42, 1.15], [-0.42, 1.15], [-0.42, 0.42], [-1.15, 0.42], [-1.15, -0.42], [-0.42, -0.42],
  ],
];

// The mark of a point: by its class, filled if it is trained on.
export function point(sheet: Sheet, x: number, y: number, r: number, kind: number, hollow: boolean): void {
  const { context, theme } = sheet;
  context.beginPath();
  if (kind === 0) context.arc(x, y, r, 0, 2 * Math.PI);
  SHAPES[kind]!.forEach(([dx, dy], i) => {
    if (i) context.lineTo(x + r * dx, y + r * dy);
    else context.moveTo(x + r * dx, y + r * dy);
  });
  context.closePath();
  context.lineWidth = hollow ? 1.4 : 1;
  context.fillStyle = hollow ? css(theme.paper) : theme.colours[kind]!;
  context.strokeStyle = hollow ? theme.colours[kind]! : css(theme.paper);
  context.fill();
  context.stroke();
}

// Around a point that is in the next minibatch.
export function ring({ context, theme }: Sheet, x: number, y: number, r: number): void {
  context.beginPath();
  context.arc(x, y, r + 3.4, 0, 2 * Math.PI);
  context.strokeStyle = theme.ink;
  context.lineWidth = 1.5;
  context.stroke();
}

interface Layer {
  key: string;
  canvas: HTMLCanvasElement;
}
const layers = new WeakMap<object, Layer>();

// What is the same from picture to picture is drawn once, and copied until the size or the colours change. of: what it shows.
export function layer(sheet: Sheet, of: object, draw: (sheet: Sheet) => void): void {
  const { context, width, height } = sheet;
  if (context instanceof SvgPen) {
    draw(sheet);
    return;
  }
  const scale = window.devicePixelRatio || 1;
  const key = `${width} ${height} ${scale} ${isDark()}`;
  let there = layers.get(of);
  if (there?.key !== key) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
    draw({ ...sheet, context: cleared(canvas, width, height) });
    there = { key, canvas };
    layers.set(of, there);
  }
  context.drawImage(there.canvas, 0, 0, width, height);
}

// A line through points; null breaks it.
export function polyline(context: Pen, places: ([number, number] | null)[]): void {
  let open = false;
  context.beginPath();
  for (const place of places) {
    if (place && open) context.lineTo(...place);
    else if (place) context.moveTo(...place);
    open = place !== null;
  }
}

// Places of an axis where lines are drawn: about five round numbers, or powers of ten.
export function ticks(low: number, high: number, log = false): number[] {
  return (log ? logarithmic([low, high], 0, 1) : linear([low, high], 0, 1, 5)).ticks;
}

export function rgb(text: string): Colour {
  const digits = /^#([0-9a-f]{6})$/i.exec(text)?.[1];
  if (!digits) return [255, 255, 255];
  return [0, 2, 4].map((i) => parseInt(digits.slice(i, i + 2), 16)) as Colour;
}
