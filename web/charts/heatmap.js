// @ts-check
/** What the network saw, and where in it the uncovered activation of a layer sits. */

/** @typedef {{ width: number, height: number, values: Float32Array }} HeatMap */
/** @typedef {{ width: number, height: number, pixels: Uint8Array }} View */

/** A canvas of the given pixels. @param {number} width @param {number} height @param {(data: Uint8ClampedArray) => void} paint */
function canvasOf(width, height, paint) {
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const image = context.createImageData(width, height);
  paint(image.data);
  context.putImageData(image, 0, 0);
  return canvas;
}

/**
 * Draws into `canvas`, whose size it sets: a whole multiple of the view's where that is small.
 * @param {HTMLCanvasElement} canvas
 * @param {View} view
 * @param {HeatMap | null} map
 */
export function drawHeatMap(canvas, view, map) {
  const zoom = Math.max(1, Math.round(384 / Math.max(view.width, view.height)));
  canvas.width = view.width * zoom;
  canvas.height = view.height * zoom;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const base = canvasOf(view.width, view.height, (data) => {
    for (let i = 0; i < view.width * view.height; ++i) {
      const [r, g, b] = view.pixels.subarray(3 * i, 3 * i + 3);
      data.set(map ? [...subdued(r, g, b), 255] : [r, g, b, 255], 4 * i);
    }
  });
  context.imageSmoothingEnabled = false;
  context.drawImage(base, 0, 0, canvas.width, canvas.height);
  if (!map) return;
  let most = 0;
  for (const value of map.values) most = Math.max(most, value);
  const heat = canvasOf(map.width, map.height, (data) => {
    map.values.forEach((value, i) => data.set(hot(most > 0 ? value / most : 0), 4 * i));
  });
  // Positions of a layer cover areas of the picture; hard borders would claim more than is known.
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = 'high';
  context.drawImage(heat, 0, 0, canvas.width, canvas.height);
}

/** Under a heat map the picture is grey and quiet, so that a colour always means heat. @param {number} r @param {number} g @param {number} b */
export const subdued = (r, g, b) => new Array(3).fill(40 + 0.55 * (0.299 * r + 0.587 * g + 0.114 * b));

/** From nothing over red and orange to light yellow, as [r, g, b, a]. @param {number} value 0..1 */
export function hot(value) {
  const stops = [[120, 20, 60, 0], [180, 40, 60, 50], [240, 120, 40, 150], [255, 235, 130, 235]];
  const place = Math.min(value, 0.9999) * (stops.length - 1);
  const i = Math.floor(place);
  return stops[i].map((channel, c) => channel + (stops[i + 1][c] - channel) * (place - i));
}
