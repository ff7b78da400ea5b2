// @ts-check
/**
 * Width and height by the headers of the formats that browsers read and the core does not: a browser decodes first and
 * says how large it was afterwards, and a kilobyte can be a gigabyte of pixels.
 */

// Where an AVIF keeps its properties: before the pixels, and so near the start.
const AVIF_PROPERTIES = 64 * 1024;

/** @typedef {{ width: number, height: number }} Size */

/**
 * @param {Uint8Array} bytes
 * @returns {Size | null} null: another format, or cut off
 */
export function imageSize(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const has = (/** @type {number} */ at, /** @type {string} */ text) => bytes.length >= at + text.length && [...text].every((letter, i) => bytes[at + i] === letter.charCodeAt(0));
  try {
    if (has(0, 'RIFF') && has(8, 'WEBP')) return webp(view, has);
    if (has(0, 'GIF8')) return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
    // Negative heights are rows from the top down.
    if (has(0, 'BM')) return { width: Math.abs(view.getInt32(18, true)), height: Math.abs(view.getInt32(22, true)) };
    if (has(4, 'ftyp')) return avif(bytes, view);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the header is cut off
  }
  return null;
}

/**
 * https://developers.google.com/speed/webp/docs/riff_container: extended, lossless, or lossy.
 * @param {DataView} view
 * @param {(at: number, text: string) => boolean} has
 * @returns {Size | null}
 */
function webp(view, has) {
  const uint24 = (/** @type {number} */ at) => view.getUint16(at, true) + (view.getUint8(at + 2) << 16);
  if (has(12, 'VP8X')) return { width: uint24(24) + 1, height: uint24(27) + 1 };
  if (has(12, 'VP8L')) {
    const bits = view.getUint32(21, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  return has(12, 'VP8 ') ? { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff } : null;
}

/**
 * The largest of all sizes that are declared (ispe boxes, ISO/IEC 23008-12): of the whole, of its tiles, of a preview.
 * @param {Uint8Array} bytes
 * @param {DataView} view
 * @returns {Size | null}
 */
function avif(bytes, view) {
  let largest = null;
  for (let at = 0; at + 16 <= Math.min(bytes.length, AVIF_PROPERTIES); ++at) {
    if (view.getUint32(at) !== 0x69737065) continue; // "ispe", then version and flags
    const size = { width: view.getUint32(at + 8), height: view.getUint32(at + 12) };
    if (!largest || size.width * size.height > largest.width * largest.height) largest = size;
  }
  return largest;
}
