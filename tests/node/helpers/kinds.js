// Images of every kind that is read, and files that are none: what a folder of a stranger's may hold.
import { readFileSync, readdirSync } from 'node:fs';
import { animatedPng, pngOfSize } from './images.js';
import { encodePng, noise } from './scene.js';

const folder = new URL('../../golden/image/', import.meta.url);
const golden = (name) => new Uint8Array(readFileSync(new URL(name, folder)));

/** PNG of every colour type, depth and interlacing, JPEG of every subsampling, progressive, CMYK, turned by EXIF; and an animation. */
export const readable = () => [
  ...readdirSync(folder).filter((name) => /\.(png|jpg)$/.test(name)).sort().map(golden),
  ...Array.from({ length: 12 }, (_, i) => encodePng(noise(1000 + i, 8 + (i % 5)), 8 + (i % 5), 8 + (i % 5))),
  animatedPng(encodePng(noise(3), 8, 8)),
];

/** Each is refused. */
export const refused = () => [
  pngOfSize(9000, 9000), pngOfSize(0, 1), golden('rgb8.png').subarray(0, 1000), golden('420.jpg').subarray(0, 1500), golden('progressive.jpg').subarray(0, 1200),
  new TextEncoder().encode('<html>'), new Uint8Array(0),
];
