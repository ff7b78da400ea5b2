// @ts-check
/** What callers hand in as an image, made into what a worker takes. */
import { NacError } from './error.js';
import { checkImageSize, checkSize } from './limits.js';
import { countTiles, cutTile, parseSpriteName } from './sprite.js';

/**
 * @typedef {import('./runner.js').ImageData} Pixels
 * @typedef {(bytes: Uint8Array) => Promise<{ pixels: Uint8Array, width: number, height: number }>} Decode of PNG and JPEG, by a worker
 * @typedef {{ name: string, group?: string, load: (decode: Decode) => Promise<Pixels | Uint8Array | Blob> }} LazyImage read when its turn comes
 * @typedef {Blob | ArrayBuffer | ArrayBufferView | Pixels | { data: Uint8ClampedArray, width: number, height: number } | LazyImage} ImageInput
 *   a File or Blob, encoded bytes, RGB or RGBA pixels, a canvas's ImageData, or one that is loaded later
 */

/** @param {any} input */
export function nameOf(input) {
  return typeof input?.name === 'string' ? input.name : '';
}

/**
 * @param {ImageInput} input
 * @param {Decode} decode
 * @returns {Promise<{ image: Pixels, transfer: ArrayBuffer[] }>} transfer: buffers that are nobody else's
 */
export async function loadImage(input, decode) {
  const source = /** @type {any} */ (input);
  if (typeof source?.load === 'function') return loadImage(await source.load(decode), decode);
  if (typeof source?.arrayBuffer === 'function') {
    checkSize('image', source.size);
    const buffer = await source.arrayBuffer().catch(gone);
    return { image: { bytes: new Uint8Array(buffer) }, transfer: [buffer] };
  }
  const bytes = source instanceof ArrayBuffer ? new Uint8Array(source) : (source?.bytes ?? source);
  if (ArrayBuffer.isView(bytes)) {
    checkSize('image', bytes.byteLength);
    return { image: { bytes: bytesOf(bytes) }, transfer: [] };
  }
  const pixels = source?.pixels ?? source?.data;
  if (ArrayBuffer.isView(pixels) && source.width > 0 && source.height > 0) {
    const { width, height, decoder } = source;
    checkImageSize(width, height);
    return { image: { pixels: bytesOf(pixels), width, height, decoder }, transfer: [] };
  }
  throw new NacError('INVALID_ARGUMENT', 'an image is a File or Blob, its bytes, or { pixels, width, height }');
}

/** A File is a promise that the disk may break. @param {Error} error */
const gone = (error) => Promise.reject(new NacError('NOT_FOUND', `the file cannot be read any more: ${error.message}`));

/** @param {ArrayBufferView} view */
export function bytesOf(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** @param {Uint8Array} bytes */
export function isCoreFormat(bytes) {
  const png = bytes[0] === 0x89 && bytes[1] === 0x50 && bytes[2] === 0x4e && bytes[3] === 0x47;
  return png || (bytes[0] === 0xff && bytes[1] === 0xd8);
}

/**
 * Makes sprites among the inputs into one lazy image a tile.
 * @param {Iterable<any> | AsyncIterable<any>} inputs
 * @returns {AsyncGenerator<any, void, undefined>}
 */
export async function* expandSprites(inputs) {
  for await (const input of inputs) {
    const { file, tile } = parseSpriteName(nameOf(input));
    if (!tile) {
      yield input;
      continue;
    }
    const { image } = await loadImage(input, noDecoder);
    if (!('bytes' in image)) throw new NacError('INVALID_ARGUMENT', `${nameOf(input)}: a sprite must be a PNG`);
    const { bytes } = image;
    yield* spriteTiles(file, input.group, tile, countTiles(file, bytes, tile), async () => bytes);
  }
}

/**
 * Lazy images of a sprite's tiles. The sheet is read and decoded once, when the first of them is wanted.
 * @param {string} file
 * @param {string | undefined} group
 * @param {{ width: number, height: number }} tile
 * @param {number} count
 * @param {() => Promise<Uint8Array>} read
 * @returns {LazyImage[]}
 */
export function spriteTiles(file, group, tile, count, read) {
  /** @type {Promise<any> | undefined} */
  let sheet;
  return Array.from({ length: count }, (_, index) => ({
    name: `${file}#${tile.width}x${tile.height}:${index}`,
    group,
    load: async (decode) => cutTile(await (sheet ??= read().then(decode)), tile, index),
  }));
}

/** @type {Decode} */
const noDecoder = () => Promise.reject(new NacError('INVALID_ARGUMENT', 'a sprite in a sprite'));
