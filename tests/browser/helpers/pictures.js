// Folders of pictures, made of the bundled samples: tests need more of them than lie there.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PNG } from 'pngjs';
import { SETS } from '../../../web/intake/sample-list.js';
import { encodePng, noise } from '../../node/helpers/scene.js';
import { sample } from './browser.js';

/** @typedef {{ file: string, name: string, group?: string }} Picture */

/**
 * Samples, shifted sideways and closed at the border: pictures that the network takes for much the same things. As the page lists
 * them: in the order of their paths.
 * @param {string} root a sub-folder of it for every sample
 * @param {string[]} sets
 * @param {number} shifts of each, 10 at most
 * @returns {Picture[]}
 */
export function writeShifted(root, sets, shifts) {
  const samples = SETS.filter(({ folder }) => sets.includes(folder)).flatMap(({ folder, names }) => names.map((name) => ({ folder, name })));
  return samples.sort((a, b) => (a.name < b.name ? -1 : 1)).flatMap(({ folder, name }) => {
    const { data, width, height } = PNG.sync.read(readFileSync(sample(`${folder}/${name}.png`)));
    mkdirSync(path.join(root, name), { recursive: true });
    return Array.from({ length: shifts }, (_, shift) => {
      const pixels = new Uint8Array(3 * width * height);
      for (let i = 0; i < width * height; ++i) {
        const from = i - (i % width) + ((i + shift) % width);
        pixels.set(data.subarray(4 * from, 4 * from + 3), 3 * i);
      }
      const file = path.join(root, name, `${shift}.png`);
      writeFileSync(file, encodePng(pixels, width, height));
      return { file, name: `${path.basename(root)}/${name}/${shift}.png`, group: name };
    });
  });
}

/** @param {string} root @param {number} count @returns {Picture[]} */
export function writeNoise(root, count) {
  mkdirSync(root, { recursive: true });
  return Array.from({ length: count }, (_, i) => {
    const file = path.join(root, `${i}.png`);
    writeFileSync(file, encodePng(noise(i, 32), 32, 32));
    return { file, name: `${path.basename(root)}/${i}.png` };
  });
}
