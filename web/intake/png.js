// @ts-check
/** Pixels as a PNG. A canvas could write one, but in some browsers it changes pixels a little, so that nobody is known by them. */

/** @param {{ pixels: Uint8Array, width: number, height: number }} picture RGB @returns {Promise<Blob>} */
export async function encodePng({ pixels, width, height }) {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint16(8, 0x0802); // 8 bits a channel, RGB
  const rows = new Uint8Array((3 * width + 1) * height); // each begins with its filter, which is none
  for (let y = 0; y < height; ++y) rows.set(pixels.subarray(3 * width * y, 3 * width * (y + 1)), (3 * width + 1) * y + 1);
  const packed = new Response(new Blob([rows]).stream().pipeThrough(new CompressionStream('deflate')));
  return new Blob([
    Uint8Array.from([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk('IHDR', new Uint8Array(header.buffer)), chunk('IDAT', new Uint8Array(await packed.arrayBuffer())), chunk('IEND', new Uint8Array(0)),
  ], { type: 'image/png' });
}

/** @param {string} type @param {Uint8Array} data */
function chunk(type, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; ++bit) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}
