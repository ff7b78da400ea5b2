// A folder with a tiny model, images in class folders, a sprite of the same images, and files that are no images.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { PNG } from 'pngjs';
import { random } from '../../../wasm/js/subset.js';
import { tinyModel } from './onnx.js';

export const LABELS = ['ant', 'bee', 'cat', 'dog'];
export const PREPROCESS = { resize: { width: 8, height: 8 }, crop: null, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };

/** RGB noise around a colour of its own. */
export function noise(seed, size = 8) {
  const next = random(seed);
  const base = [next() * 200, next() * 200, next() * 200];
  return Uint8Array.from({ length: 3 * size * size }, (_, i) => base[i % 3] + next() * 55);
}

/** @param {object} [options] pngjs's: how the same pixels are compressed */
export function encodePng(pixels, width, height, options = {}) {
  const png = new PNG({ width, height });
  for (let i = 0; i < width * height; ++i) png.data.set([...pixels.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  return new Uint8Array(PNG.sync.write(png, options));
}

/** Tiles from left to right and from top to bottom. */
export function encodeSprite(tiles, size, perRow) {
  const rows = Math.ceil(tiles.length / perRow);
  const sheet = new Uint8Array(3 * size * perRow * size * rows);
  tiles.forEach((tile, index) => {
    for (let y = 0; y < size; ++y) {
      const start = 3 * ((Math.floor(index / perRow) * size + y) * size * perRow + (index % perRow) * size);
      sheet.set(tile.subarray(3 * size * y, 3 * size * (y + 1)), start);
    }
  });
  return encodePng(sheet, size * perRow, size * rows);
}

/** @param {{ perClass?: number }} [options] */
export function makeScene({ perClass = 6 } = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nac-node-'));
  const file = (...names) => path.join(folder, ...names);
  writeFileSync(file('tiny.onnx'), tinyModel({ labels: LABELS }).bytes);
  writeFileSync(file('other.onnx'), tinyModel({ labels: LABELS, seed: 2 }).bytes);
  writeFileSync(file('preset.json'), JSON.stringify(PREPROCESS));
  const write = (name, seeds) => {
    mkdirSync(file(...name.split('/')), { recursive: true });
    for (const seed of seeds) writeFileSync(file(...name.split('/'), `${String(seed).padStart(4, '0')}.png`), encodePng(noise(seed), 8, 8));
  };
  const seeds = (first, count) => Array.from({ length: count }, (_, i) => first + i);
  LABELS.forEach((label, k) => write(`id/${label}`, seeds(100 * k, perClass)));
  write('held', seeds(1000, 30));
  LABELS.forEach((label, k) => write(`shifted/${label}`, seeds(5000 + k, 1)));
  write('fresh', seeds(2000, 10));
  mkdirSync(file('ood'));
  for (let i = 0; i < 10; ++i) writeFileSync(file('ood', `${i}.png`), encodePng(new Uint8Array(192).map((_, j) => ((i + j) % 2) * 255), 8, 8));
  writeFileSync(file('fresh.8x8.png'), encodeSprite(seeds(2000, 10).map((seed) => noise(seed)), 8, 5));
  writeFileSync(file('text.png'), 'this is no image');
  writeFileSync(file('cut.png'), encodePng(noise(5), 8, 8).subarray(0, 60));
  return { folder, file, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
