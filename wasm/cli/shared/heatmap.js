// @ts-check
/** Heat maps as PNG files: the network's view of the image in grey, and over it in colour where it is unfamiliar. */
import { PNG } from 'pngjs';

// Large enough to see on a screen, whatever the network's input.
const SIDE = 256;

/**
 * @param {{ width: number, height: number, values: Float32Array }} map
 * @param {{ width: number, height: number, pixels: Uint8Array }} view
 * @returns {Uint8Array} a PNG file
 */
export function drawHeatMap(map, view) {
  const factor = Math.max(1, Math.round(SIDE / Math.max(view.width, view.height)));
  const width = view.width * factor;
  const height = view.height * factor;
  const png = new PNG({ width, height });
  const top = map.values.reduce((a, b) => Math.max(a, b), 0) || 1;
  for (let y = 0; y < height; ++y)
    for (let x = 0; x < width; ++x) {
      const heat = sample(map, ((x + 0.5) * map.width) / width - 0.5, ((y + 0.5) * map.height) / height - 0.5) / top;
      const source = 3 * (Math.floor(y / factor) * view.width + Math.floor(x / factor));
      const [r, g, b] = view.pixels.subarray(source, source + 3);
      // Darkened, so that white places of the image do not look hot.
      const grey = 0.6 * (0.299 * r + 0.587 * g + 0.114 * b);
      const share = 0.75 * Math.sqrt(heat);
      png.data.set([...warm(heat).map((color) => (1 - share) * grey + share * color), 255], 4 * (y * width + x));
    }
  return PNG.sync.write(png);
}

/** Black, red, yellow, white.
 * @param {number} heat 0..1
 */
function warm(heat) {
  return [0, 1, 2].map((channel) => 255 * Math.min(Math.max(3 * heat - channel, 0), 1));
}

/** Bilinear, clamped at the border.
 * @param {{ width: number, height: number, values: Float32Array }} map
 * @param {number} x
 * @param {number} y
 */
function sample({ width, height, values }, x, y) {
  const at = (/** @type {number} */ column, /** @type {number} */ row) =>
    values[Math.min(Math.max(row, 0), height - 1) * width + Math.min(Math.max(column, 0), width - 1)];
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [fx, fy] = [x - left, y - top];
  const above = (1 - fx) * at(left, top) + fx * at(left + 1, top);
  const below = (1 - fx) * at(left, top + 1) + fx * at(left + 1, top + 1);
  return (1 - fy) * above + fy * below;
}
