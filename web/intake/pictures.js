// @ts-check
/**
 * The pictures in files: one each, but of a sheet all of its tiles. A sheet is a PNG whose name says so, tiles.32x32.png, as on the
 * command line; one that is not whole tiles of that size is a picture like any other.
 */
import { loadImage } from '../../wasm/js/images.js';
import { cutTile, parseSpriteName, pngSize } from '../../wasm/js/sprite.js';
import { pathOf } from './paths.js';
import { encodePng } from './png.js';

/**
 * @typedef {{ width: number, height: number, index: number }} Tile
 * @typedef {{ file: File, name: string, group?: string, tile?: Tile }} Picture can be sent to a worker; group: its class
 * @typedef {import('../../wasm/js/images.js').Decode} Decode
 */

/** @param {File[]} files @returns {Promise<Picture[]>} */
export async function toPictures(files) {
  return (await Promise.all(files.map(split))).flat();
}

/** @param {File} file @returns {Promise<Picture[]>} */
async function split(file) {
  const name = pathOf(file);
  // Below the folder that was given, a folder is a class.
  const [group] = name.split('/').slice(1, -1);
  const size = await tileSize(file);
  if (!size) return [{ file, name, group }];
  const { width, height, count } = size;
  const stem = file.name.replace(/\.\d+x\d+\.png$/i, '');
  return Array.from({ length: count }, (_, index) => ({ file, name: `${name}#${width}x${height}:${index}`, group: group ?? stem, tile: { width, height, index } }));
}

/** @param {File} file */
async function tileSize(file) {
  if (!/\.[1-9]\d*x[1-9]\d*\.png$/i.test(file.name)) return null;
  const { width, height } = /** @type {{ width: number, height: number }} */ (parseSpriteName(file.name).tile);
  const sheet = pngSize(new Uint8Array(await file.slice(0, 24).arrayBuffer().catch(() => new ArrayBuffer(0))));
  if (!sheet || sheet.width % width !== 0 || sheet.height % height !== 0) return null;
  const count = (sheet.width / width) * (sheet.height / height);
  return count > 1 ? { width, height, count } : null;
}

// Decoded sheets that are kept: the one whose tiles are scored, and the one whose tiles are looked at.
const SHEETS = 2;
/** The last used at the end. @type {Map<File, Promise<{ pixels: Uint8Array, width: number, height: number }>>} */
const sheets = new Map();

/** @param {File} file @param {Decode} decode */
function sheetOf(file, decode) {
  const sheet = sheets.get(file) ?? loadImage(file, decode).then(({ image }) => decode(/** @type {{ bytes: Uint8Array }} */ (image).bytes));
  sheets.delete(file);
  sheets.set(file, sheet);
  for (const oldest of sheets.keys()) {
    if (sheets.size <= SHEETS) break;
    sheets.delete(oldest);
  }
  sheet.catch(() => sheets.delete(file));
  return sheet;
}

/**
 * As the package takes it: read when its turn comes.
 * @param {Picture} picture
 * @returns {import('../../wasm/js/index.js').LazyImage}
 */
export function toImage({ file, name, group, tile }) {
  return { name, group, load: async (decode) => (tile ? cutTile(await sheetOf(file, decode), tile, tile.index) : file) };
}

/**
 * As a file of its own, which can be shown and saved.
 * @param {Picture} picture
 * @param {Decode} decode
 */
export async function toFile({ file, name, tile }, decode) {
  if (!tile) return file;
  return new File([await encodePng(cutTile(await sheetOf(file, decode), tile, tile.index))], name, { type: 'image/png' });
}
