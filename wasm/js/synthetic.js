// @ts-check
/**
 * Outliers made of in-distribution images, for searches where no real ones are at hand: many kinds, each unlike a photograph in
 * another way, because what a search learns from one kind it may lose on the next. Real outliers are better.
 */
import { loadImage, nameOf } from './images.js';
import { random } from './subset.js';

/** @typedef {{ pixels: Uint8Array, width: number, height: number }} Pixels RGB */
/** @typedef {() => number} Next of random() */
/** @typedef {(x: number, y: number, c: number) => number} Brightness of channel c at a pixel, 0..255; what is beyond is cut off */
/** @typedef {(image: Pixels, next: Next, other: Pixels) => Pixels} Kind other: a second image, for kinds that need one */

// Networks see little more of a photograph; noise of single pixels would be grey by the time it reached them.
const LARGEST_SIDE = 320;

/** @type {Record<string, Kind>} */
const KINDS = { noise, clouds, flat, gratings, strokes, silhouettes, shuffled, tiled, blurred, negative, turned, mixed, levels };

export const KIND_NAMES = Object.keys(KINDS);

/**
 * @param {string} kind one of KIND_NAMES
 * @param {Pixels} image
 * @param {Pixels} other
 * @param {number} seed
 * @returns {Pixels} the same for the same arguments
 */
export function synthesise(kind, image, other, seed) {
  const next = random(seed);
  next(); // the first numbers of neighbouring seeds are alike
  return KINDS[kind](shrink(image), next, shrink(other));
}

/**
 * One set of every kind.
 * @param {import('./images.js').ImageInput[]} images
 * @param {number} limit of each set
 * @param {import('./images.js').Decode} decode
 * @returns {{ name: string, images: import('./images.js').LazyImage[] }[]}
 */
export function madeUp(images, limit, decode) {
  const pixelsOf = async (/** @type {import('./images.js').ImageInput} */ input) => {
    const { image } = await loadImage(input, decode);
    return 'bytes' in image ? decode(image.bytes) : /** @type {Pixels} */ (image);
  };
  return KIND_NAMES.map((kind) => ({
    name: kind,
    images: images.slice(0, limit).map((image, i) => {
      const other = images[(i + 1) % images.length];
      return { name: `${kind} made of ${nameOf(image)}`, load: async () => synthesise(kind, await pixelsOf(image), await pixelsOf(other), i) };
    }),
  }));
}

/**
 * @param {number} width
 * @param {number} height
 * @param {Brightness} at
 * @returns {Pixels}
 */
function paint(width, height, at) {
  const pixels = new Uint8ClampedArray(3 * width * height);
  for (let y = 0, i = 0; y < height; ++y) for (let x = 0; x < width; ++x) for (let c = 0; c < 3; ++c) pixels[i++] = at(x, y, c);
  return { pixels: new Uint8Array(pixels.buffer), width, height };
}

/** Every n-th pixel of an image that is too large.
 * @param {Pixels} image
 */
function shrink(image) {
  const step = Math.ceil(Math.max(image.width, image.height) / LARGEST_SIDE);
  if (step === 1) return image;
  return paint(Math.ceil(image.width / step), Math.ceil(image.height / step), (x, y, c) => valueOf(image, x * step, y * step, c));
}

/** @param {Pixels} image @param {number} x @param {number} y @param {number} c */
const valueOf = ({ pixels, width }, x, y, c) => pixels[3 * (y * width + x) + c];

/** @param {Next} next @param {number} low @param {number} high */
const between = (next, low, high) => low + (high - low) * next();

/** A whole number in [0, count).
 * @param {Next} next @param {number} count
 */
const choice = (next, count) => Math.floor(count * next());

/** Grey as often as not.
 * @param {Next} next
 */
function colour(next) {
  const [r, g, b, coloured] = [next(), next(), next(), next() < 0.5];
  return (coloured ? [r, g, b] : [r, r, r]).map((share) => 255 * share);
}

/** Two colours that differ in brightness by a third of the range or more.
 * @param {Next} next
 */
function twoColours(next) {
  for (;;) {
    const [a, b] = [colour(next), colour(next)];
    if (Math.abs(a[0] + a[1] + a[2] - b[0] - b[1] - b[2]) > 255) return [a, b];
  }
}

/** @param {number} share of b @param {number[]} a @param {number[]} b @param {number} c */
const blend = (share, a, b, c) => a[c] + share * (b[c] - a[c]);

/** Every pixel by chance, around some colour: grey or coloured, weak or strong.
 * @type {Kind}
 */
function noise({ width, height }, next) {
  const [base, spread, grey] = [colour(next), between(next, 40, 255), next() < 0.5];
  let shared = 0;
  return paint(width, height, (_x, _y, c) => {
    if (c === 0 || !grey) shared = spread * (next() - 0.5);
    return base[c] + shared;
  });
}

/** Noise of a falling spectrum: grids of chance values, each twice as fine as the one before and weaker, interpolated.
 * @type {Kind}
 */
function clouds({ width, height }, next) {
  const [octaves, persistence] = [1 + choice(next, 5), between(next, 0.4, 1)];
  const grids = Array.from({ length: octaves }, (_, octave) => {
    const cells = 2 << octave;
    return { cells, weight: persistence ** octave, values: Array.from({ length: 3 * (cells + 1) ** 2 }, () => next() - 0.5) };
  });
  const scale = 255 / Math.sqrt(grids.reduce((sum, { weight }) => sum + weight ** 2, 0));
  return paint(width, height, (x, y, c) =>
    128 + scale * grids.reduce((sum, grid) => sum + grid.weight * interpolate(grid, x / width, y / height, c), 0));
}

/**
 * @param {{ cells: number, values: number[] }} grid
 * @param {number} u 0..1
 * @param {number} v 0..1
 * @param {number} c
 */
function interpolate({ cells, values }, u, v, c) {
  const [column, row] = [Math.floor(cells * u), Math.floor(cells * v)];
  const [fx, fy] = [cells * u - column, cells * v - row];
  const at = (/** @type {number} */ down, /** @type {number} */ right) => values[3 * ((cells + 1) * (row + down) + column + right) + c];
  return (1 - fy) * ((1 - fx) * at(0, 0) + fx * at(0, 1)) + fy * ((1 - fx) * at(1, 0) + fx * at(1, 1));
}

/** One colour, or a slope from one to another.
 * @type {Kind}
 */
function flat({ width, height }, next) {
  const [from, to, angle, sloped] = [colour(next), colour(next), between(next, 0, 2 * Math.PI), next() < 0.5];
  const [dx, dy] = [Math.cos(angle) / width, Math.sin(angle) / height];
  return paint(width, height, (x, y, c) => (sloped ? blend(0.5 + dx * (x - width / 2) + dy * (y - height / 2), from, to, c) : from[c]));
}

/** One or two waves across the picture, soft or as stripes and checks.
 * @type {Kind}
 */
function gratings({ width, height }, next) {
  const [a, b] = twoColours(next);
  const hard = next() < 0.5;
  const waves = Array.from({ length: 1 + choice(next, 2) }, () => {
    const [periods, angle, phase] = [between(next, 2, 10), between(next, 0, Math.PI), between(next, 0, 2 * Math.PI)];
    return { u: 2 * Math.PI * periods * Math.cos(angle), v: 2 * Math.PI * periods * Math.sin(angle), phase };
  });
  return paint(width, height, (x, y, c) => {
    const height01 = 0.5 + 0.5 * waves.reduce((product, { u, v, phase }) => product * Math.sin((u * x) / width + (v * y) / height + phase), 1);
    return blend(hard ? Math.round(height01) : height01, a, b, c);
  });
}

/** Curved lines on a flat ground.
 * @type {Kind}
 */
function strokes({ width, height }, next) {
  const [ground, ink] = twoColours(next);
  const point = () => [between(next, 0.15, 0.85), between(next, 0.15, 0.85)];
  const radius = between(next, 0.03, 0.07);
  const curves = Array.from({ length: 1 + choice(next, 4) }, () => {
    const [[x0, y0], [x1, y1], [x2, y2]] = [point(), point(), point()];
    return Array.from({ length: 33 }, (_, i) => {
      const t = i / 32;
      const [p, q, r] = [(1 - t) ** 2, 2 * t * (1 - t), t ** 2];
      return [p * x0 + q * x1 + r * x2, p * y0 + q * y1 + r * y2];
    });
  }).flat();
  const softness = 1 / Math.min(width, height);
  const covered = plane(width, height, (u, v) => {
    const distance = Math.sqrt(Math.min(...curves.map(([x, y]) => (x - u) ** 2 + (y - v) ** 2)));
    return Math.min(1, Math.max(0, 0.5 + (radius - distance) / softness));
  });
  return paint(width, height, (x, y, c) => blend(covered[y * width + x], ground, ink, c));
}

/** One number a pixel.
 * @param {number} width @param {number} height @param {(u: number, v: number) => number} at u, v in 0..1
 */
function plane(width, height, at) {
  return Float32Array.from({ length: width * height }, (_, i) => at((i % width) / width, Math.floor(i / width) / height));
}

/** The image in two flat colours: its darker and its lighter half, after a blur.
 * @type {Kind}
 */
function silhouettes(image, next) {
  const [a, b] = twoColours(next);
  const { pixels, width, height } = blur(image, 1 / 24);
  const brightness = Float32Array.from({ length: width * height }, (_, i) => pixels[3 * i] + pixels[3 * i + 1] + pixels[3 * i + 2]);
  const middle = brightness.slice().sort()[brightness.length >> 1];
  return paint(width, height, (x, y, c) => (brightness[y * width + x] < middle ? a[c] : b[c]));
}

/** The image cut into 2 x 2, 4 x 4 or 8 x 8 patches that change places.
 * @type {Kind}
 */
function shuffled(image, next) {
  const { width, height } = image;
  const cuts = 2 << choice(next, 3);
  const [w, h] = [Math.floor(width / cuts), Math.floor(height / cuts)];
  if (w === 0 || h === 0) return noise(image, next, image);
  const order = Array.from({ length: cuts * cuts }, (_, i) => ({ i, key: next() })).sort((a, b) => a.key - b.key);
  return paint(width, height, (x, y, c) => {
    const [column, row] = [Math.floor(x / w), Math.floor(y / h)];
    if (column >= cuts || row >= cuts) return valueOf(image, x, y, c); // a rest at the edge
    const { i: from } = order[row * cuts + column];
    return valueOf(image, (from % cuts) * w + (x % w), Math.floor(from / cuts) * h + (y % h), c);
  });
}

/** A small piece of the image, mirrored again and again: a texture.
 * @type {Kind}
 */
function tiled(image, next) {
  const { width, height } = image;
  const share = between(next, 0.12, 0.4);
  const [w, h] = [Math.max(1, Math.round(share * width)), Math.max(1, Math.round(share * height))];
  const [left, top] = [choice(next, width - w + 1), choice(next, height - h + 1)];
  const mirrored = (/** @type {number} */ i, /** @type {number} */ size) => (Math.floor(i / size) % 2 === 0 ? i % size : size - 1 - (i % size));
  return paint(width, height, (x, y, c) => valueOf(image, left + mirrored(x, w), top + mirrored(y, h), c));
}

/** Too blurred to see what it is.
 * @type {Kind}
 */
function blurred(image, next) {
  return blur(image, between(next, 1 / 16, 1 / 6));
}

/** Three box blurs are nearly a Gaussian.
 * @param {Pixels} image
 * @param {number} share radius of the box, of the shorter side
 */
function blur(image, share) {
  const radius = Math.max(1, Math.round((share * Math.min(image.width, image.height)) / 2));
  let result = image;
  for (let pass = 0; pass < 3; ++pass) result = boxBlur(boxBlur(result, radius, 0), radius, 1);
  return result;
}

/**
 * Along one axis. Beyond the edge the edge goes on.
 * @param {Pixels} image
 * @param {number} radius
 * @param {0 | 1} axis 0: across, 1: down
 */
function boxBlur(image, radius, axis) {
  const { width, height } = image;
  const last = (axis === 0 ? width : height) - 1;
  const sums = [0, 0, 0];
  const along = (/** @type {number} */ i, /** @type {number} */ j, /** @type {number} */ c) => {
    const at = Math.min(Math.max(i, 0), last);
    return axis === 0 ? valueOf(image, at, j, c) : valueOf(image, j, at, c);
  };
  const result = new Uint8Array(image.pixels.length);
  for (let j = 0; j <= (axis === 0 ? height : width) - 1; ++j)
    for (let i = 0; i <= last; ++i)
      for (let c = 0; c < 3; ++c) {
        if (i === 0) for (let k = -radius, sum = (sums[c] = 0); k <= radius; ++k) sums[c] = sum += along(k, j, c);
        else sums[c] += along(i + radius, j, c) - along(i - radius - 1, j, c);
        result[3 * (axis === 0 ? j * width + i : i * width + j) + c] = Math.round(sums[c] / (2 * radius + 1));
      }
  return { pixels: result, width, height };
}

/** Inverted, with the channels in another order.
 * @type {Kind}
 */
function negative(image, next) {
  const shift = choice(next, 3);
  return paint(image.width, image.height, (x, y, c) => 255 - valueOf(image, x, y, (c + shift) % 3));
}

/** On its side or upside down.
 * @type {Kind}
 */
function turned(image, next) {
  const { width: w, height: h } = image;
  const quarters = 1 + choice(next, 3);
  if (quarters === 2) return paint(w, h, (x, y, c) => valueOf(image, w - 1 - x, h - 1 - y, c));
  return paint(h, w, (x, y, c) => (quarters === 1 ? valueOf(image, y, h - 1 - x, c) : valueOf(image, w - 1 - y, x, c)));
}

/** Two images, one through the other.
 * @type {Kind}
 */
function mixed(image, next, other) {
  const { width, height } = image;
  const share = between(next, 0.4, 0.6);
  const [sx, sy] = [other.width / width, other.height / height];
  return paint(width, height, (x, y, c) =>
    (1 - share) * valueOf(image, x, y, c) + share * valueOf(other, Math.floor(x * sx), Math.floor(y * sy), c));
}

/** Hardly any contrast, too dark, too light, or only two levels a channel.
 * @type {Kind}
 */
function levels(image, next) {
  const { width, height } = image;
  const strength = next();
  const gamma = (/** @type {number} */ power) => (/** @type {number} */ v) => 255 * (v / 255) ** power;
  const curve = [
    (/** @type {number} */ v) => 128 + (0.05 + 0.2 * strength) * (v - 128),
    gamma(3 + 3 * strength),
    gamma(0.15 + 0.15 * strength),
    (/** @type {number} */ v) => (v < 96 + 64 * strength ? 0 : 255),
  ][choice(next, 4)];
  return paint(width, height, (x, y, c) => curve(valueOf(image, x, y, c)));
}
