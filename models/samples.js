// Writes the images that the demo scores: models/samples/<set>/<name>.png.
//
//   node models/samples.js
//
// Some are from the network's own distribution (CIFAR-10 test images, one a class, which training never
// saw) and some are not: digits, clothes, and textures drawn here. The choice is by position in the test
// set, not by score. Everything is deterministic: a second run writes the same pixels.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PNG } from 'pngjs';
import { cifarClasses, ensureData } from './data.js';

const out = fileURLToPath(new URL('./samples/', import.meta.url));
const SIZE = 32;

/** Position in the test set -> what it shows. */
const DIGITS = { 0: '7', 1: '2', 2: '1', 3: '0', 4: '4', 8: '5' };
const CLOTHES = { 0: 'ankle-boot', 1: 'pullover', 2: 'trousers', 4: 'shirt', 6: 'coat', 8: 'sandal' };

/** @param {PNG} png RGBA @param {1|3} channels written */
function write(path, png, channels) {
  mkdirSync(dirname(path), { recursive: true });
  const options = { colorType: channels === 1 ? 0 : 2, inputColorType: 6, inputHasAlpha: true };
  writeFileSync(path, PNG.sync.write(png, options));
}

/** Tile number i of a sprite of size*size tiles, row by row. */
function tile(sprite, size, i) {
  const columns = sprite.width / size;
  const png = new PNG({ width: size, height: size });
  PNG.bitblt(sprite, png, (i % columns) * size, Math.floor(i / columns) * size, size, size, 0, 0);
  return png;
}

/** A SIZE x SIZE picture of what colour(x, y) gives: [r, g, b], each 0..255. */
function draw(colour) {
  const png = new PNG({ width: SIZE, height: SIZE });
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) png.data.set([...colour(x, y).map(Math.round), 255], (y * SIZE + x) * 4);
  }
  return png;
}

/** mulberry32: 32 bits of state, whole numbers only, so the same everywhere. Returns 0..1. */
function random(seed) {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const noise = random(1);
const TEXTURES = {
  noise: () => [noise() * 255, noise() * 255, noise() * 255],
  checkerboard: (x, y) => (((x >> 2) + (y >> 2)) % 2 ? [235, 235, 235] : [20, 20, 20]),
  stripes: (x, y) => ((x + y) % 8 < 4 ? [200, 40, 40] : [240, 220, 60]),
  gradient: (x, y) => [x * 255 / 31, y * 255 / 31, 128],
  rings: (x, y) => (((x - 15.5) ** 2 + (y - 15.5) ** 2) % 64 < 32 ? [30, 90, 160] : [230, 240, 250]),
  bricks: (x, y) => (y % 8 === 0 || (x + (y >> 3) % 2 * 6) % 12 === 0 ? [205, 200, 190] : [150, 60, 45]),
};

const data = ensureData();
for (const name of cifarClasses) {
  const sprite = PNG.sync.read(readFileSync(join(data, 'cifar10/test', name, 'tiles.32x32.png')));
  write(join(out, 'cifar10', `${name}.png`), tile(sprite, 32, 0), 3);
}
for (const [set, chosen, prefix] of [['mnist', DIGITS, 'digit-'], ['fashion-mnist', CLOTHES, '']]) {
  const sprite = PNG.sync.read(readFileSync(join(data, set, 'test/tiles.28x28.png')));
  for (const [i, name] of Object.entries(chosen)) write(join(out, set, `${prefix}${name}.png`), tile(sprite, 28, Number(i)), 1);
}
for (const [name, colour] of Object.entries(TEXTURES)) write(join(out, 'textures', `${name}.png`), draw(colour), 3);
