// @ts-check
/**
 * Outliers made of in-distribution images, for searches where no real ones are at hand. They are far from everything a camera
 * sees in different ways: no structure, no detail, no arrangement, no colours that are right. Real outliers are better.
 */
import { random } from './subset.js';

/** @typedef {{ pixels: Uint8Array, width: number, height: number }} Pixels RGB */

const KINDS = [noise, blobs, shuffled, negative];

/**
 * @param {Pixels} image
 * @param {number} index chooses the kind in turn, and seeds it
 * @returns {Pixels}
 */
export function synthesise(image, index) {
  return KINDS[index % KINDS.length](image, random(index));
}

/** Every pixel by chance.
 * @param {Pixels} image @param {() => number} next
 */
function noise({ width, height }, next) {
  return { width, height, pixels: Uint8Array.from({ length: 3 * width * height }, () => 256 * next()) };
}

/** Soft clouds of colour: a grid of 4 x 4 chance colours, interpolated.
 * @param {Pixels} image @param {() => number} next
 */
function blobs({ width, height }, next) {
  const grid = Array.from({ length: 3 * 25 }, () => 256 * next());
  const at = (/** @type {number} */ row, /** @type {number} */ column, /** @type {number} */ c) => grid[3 * (5 * row + column) + c];
  const pixels = new Uint8Array(3 * width * height);
  for (let i = 0; i < pixels.length; ++i) {
    const [x, y] = [(4 * (Math.floor(i / 3) % width)) / width, (4 * Math.floor(i / 3 / width)) / height];
    const [column, row, c] = [Math.floor(x), Math.floor(y), i % 3];
    const [fx, fy] = [x - column, y - row];
    const above = (1 - fx) * at(row, column, c) + fx * at(row, column + 1, c);
    const below = (1 - fx) * at(row + 1, column, c) + fx * at(row + 1, column + 1, c);
    pixels[i] = (1 - fy) * above + fy * below;
  }
  return { width, height, pixels };
}

/** The image cut in 4 x 4 patches that change places.
 * @param {Pixels} image @param {() => number} next
 */
function shuffled({ width, height, pixels }, next) {
  const [w, h] = [Math.floor(width / 4), Math.floor(height / 4)];
  if (w === 0 || h === 0) return noise({ width, height, pixels }, next);
  const order = Array.from({ length: 16 }, (_, i) => i);
  for (let i = 15; i > 0; --i) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  const result = Uint8Array.from(pixels);
  order.forEach((from, to) => {
    for (let y = 0; y < h; ++y) {
      const source = 3 * (((from >> 2) * h + y) * width + (from & 3) * w);
      const target = 3 * (((to >> 2) * h + y) * width + (to & 3) * w);
      result.set(pixels.subarray(source, source + 3 * w), target);
    }
  });
  return { width, height, pixels: result };
}

/** Inverted, with the channels in another order.
 * @param {Pixels} image
 */
function negative({ width, height, pixels }) {
  return { width, height, pixels: pixels.map((_, i) => 255 - pixels[i - (i % 3) + ((i + 1) % 3)]) };
}
