// |dW| / |W| of each layer beside the band around 1e-3.

import { type Surface, begin, polyline } from "./canvas";
import type { Layer } from "../types";

const PAD = { left: 62, right: 18, top: 8, bottom: 28 };
const [LOW, HIGH] = [-7, 1]; // powers of ten
const GOOD: [number, number] = [-3.5, -2.5];

export function drawRatios(surface: Surface, layers: Layer[]): void {
  const { context, width, height, theme } = begin(surface);
  const X = (power: number) => PAD.left + ((power - LOW) / (HIGH - LOW)) * (width - PAD.left - PAD.right);
  const bottom = height - PAD.bottom;
  context.fillStyle = theme.colours[2]!;
  context.globalAlpha = 0.2;
  context.fillRect(X(GOOD[0]), PAD.top, X(GOOD[1]) - X(GOOD[0]), bottom - PAD.top);
  context.globalAlpha = 1;
  context.textAlign = "center";
  context.strokeStyle = theme.line;
  context.fillStyle = theme.muted;
  for (let power = LOW; power <= HIGH; power++) {
    polyline(context, [[X(power), PAD.top], [X(power), bottom]]);
    context.stroke();
    if (width > 420 || power % 2) context.fillText(power === 0 ? "1" : power === 1 ? "10" : `1e${power}`, X(power), height - 10);
  }
  const step = (bottom - PAD.top) / layers.length;
  layers.forEach((layer, i) => {
    const y = PAD.top + (i + 0.5) * step;
    context.fillStyle = theme.muted;
    context.textAlign = "right";
    context.fillText(`layer ${i + 1}`, PAD.left - 9, y + 4);
    if (!layer.update_ratio) return;
    const power = Math.min(HIGH, Math.max(LOW, Math.log10(layer.update_ratio)));
    const good = power > GOOD[0] && power < GOOD[1];
    context.beginPath();
    context.arc(X(power), y, 6, 0, 2 * Math.PI);
    context.fillStyle = theme.colours[2]!;
    context.strokeStyle = theme.colours[1]!;
    context.lineWidth = 3;
    if (good) context.fill(); // filled within the band, a ring outside of it
    else context.stroke();
  });
}
