// The same strokes as on a canvas, written down as SVG: a picture that is saved keeps its lines and its text.

import type { Picture } from "../../chart/save";

// What drawings ask of a canvas.
export type Pen = Pick<CanvasRenderingContext2D,
  "fillStyle" | "strokeStyle" | "lineWidth" | "globalAlpha" | "textAlign" | "font" | "beginPath" | "closePath" | "moveTo" | "lineTo"
  | "bezierCurveTo" | "arc" | "fill" | "stroke" | "fillRect" | "strokeRect" | "fillText" | "setLineDash">
  & { drawImage(image: HTMLCanvasElement, x: number, y: number, width: number, height: number): void };

const ANCHORS: Record<string, string> = { right: "end", center: "middle" };

export class SvgPen implements Pen {
  fillStyle: Pen["fillStyle"] = "#000";
  strokeStyle: Pen["strokeStyle"] = "#000";
  lineWidth = 1;
  globalAlpha = 1;
  textAlign: CanvasTextAlign = "start";
  font = "";
  private parts: string[] = [];
  private path = "";
  private dash = "";

  // canvas: of the size and the colours that are wanted.
  constructor(readonly canvas: HTMLCanvasElement) {}

  picture(ground: string): Picture {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const size = `width="${width}" height="${height}"`;
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" ${size} viewBox="0 0 ${width} ${height}"><rect ${size} fill="${ground}"/>${this.parts.join("")}</svg>`;
    return { svg, width, height };
  }

  beginPath(): void {
    this.path = "";
  }

  closePath(): void {
    this.path += "Z";
  }

  moveTo(x: number, y: number): void {
    this.path += `M${at(x, y)}`;
  }

  lineTo(x: number, y: number): void {
    this.path += `${this.path ? "L" : "M"}${at(x, y)}`;
  }

  bezierCurveTo(ax: number, ay: number, bx: number, by: number, x: number, y: number): void {
    this.path += `C${at(ax, ay)} ${at(bx, by)} ${at(x, y)}`;
  }

  // Whole circles: drawings have no others.
  arc(x: number, y: number, r: number): void {
    this.path += `M${at(x - r, y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
  }

  fill(): void {
    this.add(`<path d="${this.path}" fill="${this.fillStyle}"`);
  }

  stroke(): void {
    if (this.path) this.add(`<path d="${this.path}" fill="none" ${this.line()}`);
  }

  fillRect(x: number, y: number, width: number, height: number): void {
    this.add(`<rect ${box(x, y, width, height)} fill="${this.fillStyle}"`);
  }

  strokeRect(x: number, y: number, width: number, height: number): void {
    this.add(`<rect ${box(x, y, width, height)} fill="none" ${this.line()}`);
  }

  fillText(text: string, x: number, y: number): void {
    const [size, ...family] = this.font.split(" ");
    const place = `x="${round(x)}" y="${round(y)}" text-anchor="${ANCHORS[this.textAlign] ?? "start"}"`;
    this.add(`<text ${place} font-size="${size}" font-family="${family.join(" ")}" fill="${this.fillStyle}"`, `${escaped(text)}</text>`);
  }

  setLineDash(dash: Iterable<number>): void {
    this.dash = [...dash].join(" ");
  }

  drawImage(image: HTMLCanvasElement, x: number, y: number, width: number, height: number): void {
    this.add(`<image ${box(x, y, width, height)} preserveAspectRatio="none" href="${image.toDataURL()}"`);
  }

  private line(): string {
    return `stroke="${this.strokeStyle}" stroke-width="${round(this.lineWidth)}"${this.dash && ` stroke-dasharray="${this.dash}"`}`;
  }

  private add(element: string, content = ""): void {
    const faint = this.globalAlpha < 1 ? ` opacity="${round(this.globalAlpha)}"` : "";
    this.parts.push(`${element}${faint}${content ? `>${content}` : "/>"}`);
  }
}

const round = (value: number): number => Math.round(100 * value) / 100;
const at = (x: number, y: number): string => `${round(x)} ${round(y)}`;
const box = (x: number, y: number, width: number, height: number): string =>
  `x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"`;

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
