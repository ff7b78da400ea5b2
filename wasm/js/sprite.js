// @ts-check
/** Sprites: many small images as the tiles of one PNG, row by row. `F.png#32x32` says so, and so does the name `F.32x32.png`. */
import { NacError } from './error.js';

/**
 * @param {string} name
 * @returns {{ file: string, tile: { width: number, height: number } | null }}
 */
export function parseSpriteName(name) {
  const marked = /^(.+)#(\d+)x(\d+)$/.exec(name);
  const match = marked ?? /^(.*\.(\d+)x(\d+)\.png)$/i.exec(name);
  if (!match) return { file: name, tile: null };
  const tile = { width: Number(match[2]), height: Number(match[3]) };
  if (tile.width < 1 || tile.height < 1) throw new NacError('INVALID_ARGUMENT', `${name}: a tile has no pixels`);
  return { file: match[1], tile };
}

/**
 * Width and height of a PNG by its header, or null for anything else.
 * @param {Uint8Array} bytes the first 24 at least
 */
export function pngSize(bytes) {
  if (bytes.length < 24 || String.fromCharCode(...bytes.subarray(1, 4)) !== 'PNG') return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/**
 * How many tiles a sprite holds.
 * @param {string} name for the message
 * @param {Uint8Array} bytes
 * @param {{ width: number, height: number }} tile
 */
export function countTiles(name, bytes, tile) {
  const size = pngSize(bytes);
  if (!size) throw new NacError('MALFORMED', `${name}: a sprite must be a PNG`);
  if (size.width % tile.width !== 0 || size.height % tile.height !== 0)
    throw new NacError('MISMATCH', `${name}: ${size.width} x ${size.height} pixels are not whole tiles of ${tile.width} x ${tile.height}`);
  return (size.width / tile.width) * (size.height / tile.height);
}

/**
 * A copy of one tile.
 * @param {{ pixels: Uint8Array, width: number, height: number }} sheet RGB
 * @param {{ width: number, height: number }} tile
 * @param {number} index
 */
export function cutTile(sheet, { width, height }, index) {
  const perRow = sheet.width / width;
  const x = (index % perRow) * width;
  const y = Math.floor(index / perRow) * height;
  const pixels = new Uint8Array(3 * width * height);
  for (let row = 0; row < height; ++row) {
    const start = 3 * ((y + row) * sheet.width + x);
    pixels.set(sheet.pixels.subarray(start, start + 3 * width), 3 * row * width);
  }
  return { pixels, width, height };
}
