// @ts-check
/** What a bad camera does to a picture: blur, noise, light. RGB in bytes; without any of it, the pixels come out as they went in. */

/** @typedef {{ pixels: Uint8Array, width: number, height: number }} Picture RGB */
/** @typedef {{ blur: number, noise: number, brightness: number, quality: number }} Settings
 *   blur: deviation of a Gaussian in percent of the shorter side; noise: deviation in levels; brightness: stops, doubling each;
 *   quality: of JPEG, 1..100, 101: not compressed */

/** @type {Settings} */
export const NEUTRAL = { blur: 0, noise: 0, brightness: 0, quality: 101 };

/** @param {Picture} picture @param {Settings} settings */
export function degrade(picture, { blur: amount, noise: deviation, brightness }) {
  const { width, height } = picture;
  let { pixels } = picture;
  if (amount > 0) pixels = blur(picture, (amount / 100) * Math.min(width, height));
  if (brightness !== 0) pixels = brighten(pixels, 2 ** brightness);
  // Last: it comes from the sensor, not from the lens.
  if (deviation > 0) pixels = noise(pixels, deviation);
  return { pixels, width, height };
}

/** @param {Uint8Array} pixels @param {number} factor */
function brighten(pixels, factor) {
  const table = Uint8Array.from({ length: 256 }, (_, level) => Math.min(255, Math.round(level * factor)));
  return pixels.map((level) => table[level]);
}

/** The same grain for the same picture: what changes the score shall be the slider. @param {Uint8Array} pixels @param {number} deviation */
function noise(pixels, deviation) {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return pixels.map((level) => {
    const normal = Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
    return Math.min(255, Math.max(0, Math.round(level + deviation * normal)));
  });
}

/** Gaussian, rows and then columns; what lies outside repeats the border. @param {Picture} picture @param {number} sigma in pixels */
function blur({ pixels, width, height }, sigma) {
  const radius = Math.max(1, Math.ceil(3 * sigma));
  const weights = Float32Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma * sigma)));
  const sum = weights.reduce((a, b) => a + b, 0);
  const rows = new Float32Array(pixels.length);
  const result = new Uint8Array(pixels.length);
  for (let y = 0; y < height; ++y)
    for (let x = 0; x < width; ++x)
      for (let c = 0; c < 3; ++c) {
        let total = 0;
        for (let k = -radius; k <= radius; ++k) total += weights[k + radius] * pixels[3 * (y * width + Math.min(Math.max(x + k, 0), width - 1)) + c];
        rows[3 * (y * width + x) + c] = total / sum;
      }
  for (let y = 0; y < height; ++y)
    for (let x = 0; x < width; ++x)
      for (let c = 0; c < 3; ++c) {
        let total = 0;
        for (let k = -radius; k <= radius; ++k) total += weights[k + radius] * rows[3 * (Math.min(Math.max(y + k, 0), height - 1) * width + x) + c];
        result[3 * (y * width + x) + c] = Math.round(total / sum);
      }
  return result;
}

/**
 * A copy small enough that a slider stays a slider, by whole factors: blocks of pixels become their mean.
 * @param {Picture} picture
 * @param {number} most pixels
 */
export function shrink({ pixels, width, height }, most) {
  const factor = Math.ceil(Math.sqrt((width * height) / most));
  if (factor <= 1) return { pixels, width, height, factor: 1 };
  const [w, h] = [Math.max(1, Math.floor(width / factor)), Math.max(1, Math.floor(height / factor))];
  const result = new Uint8Array(3 * w * h);
  const [fx, fy] = [Math.min(factor, width), Math.min(factor, height)];
  for (let y = 0; y < h; ++y)
    for (let x = 0; x < w; ++x)
      for (let c = 0; c < 3; ++c) {
        let total = 0;
        for (let dy = 0; dy < fy; ++dy) for (let dx = 0; dx < fx; ++dx) total += pixels[3 * ((y * factor + dy) * width + x * factor + dx) + c];
        result[3 * (y * w + x) + c] = Math.round(total / (fx * fy));
      }
  return { pixels: result, width: w, height: h, factor };
}

/** Without the fourth channel. @param {{ pixels: Uint8Array | Uint8ClampedArray, width: number, height: number }} picture RGB or RGBA */
export function toRgb({ pixels, width, height }) {
  if (pixels.length === 3 * width * height) return { pixels: new Uint8Array(pixels), width, height };
  const result = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; ++i) result.set(pixels.subarray(4 * i, 4 * i + 3), 3 * i);
  return { pixels: result, width, height };
}

/** For canvases. @param {Picture} picture */
export function toImageData({ pixels, width, height }) {
  const data = new ImageData(width, height);
  for (let i = 0; i < width * height; ++i) {
    data.data[4 * i] = pixels[3 * i];
    data.data[4 * i + 1] = pixels[3 * i + 1];
    data.data[4 * i + 2] = pixels[3 * i + 2];
    data.data[4 * i + 3] = 255;
  }
  return data;
}
