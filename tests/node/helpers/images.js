// Image files that nobody would draw: headers that lie, and files that inflate.
import zlib from 'node:zlib';

const SIGNATURE = Uint8Array.from([137, 80, 78, 71, 13, 10, 26, 10]);

// zlib.crc32 is newer than Node 20.
function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; ++bit) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function chunk(type, data) {
  const bytes = Buffer.alloc(12 + data.length);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, 'latin1');
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length);
  return bytes;
}

function header(width, height) {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  data.set([8, 2, 0, 0, 0], 8); // 8 bits, RGB
  return chunk('IHDR', data);
}

const png = (...chunks) => new Uint8Array(Buffer.concat([SIGNATURE, ...chunks, chunk('IEND', Buffer.alloc(0))]));

/** A PNG whose header says this size, with a few pixels in it. */
export const pngOfSize = (width, height) => png(header(width, height), chunk('IDAT', zlib.deflateSync(Buffer.alloc(10))));

/** A black PNG of this size; or, with `bytes`, one that inflates to that many. */
export const bombPng = (width, height, bytes = (3 * width + 1) * height) => png(header(width, height), chunk('IDAT', zlib.deflateSync(Buffer.alloc(bytes), { level: 9 })));

/** An APNG: the frame, a second one that the eye never sees if the first is shown, and the chunks that say so. */
export function animatedPng(frame) {
  const at = 8 + 25; // behind the signature and IHDR
  const control = Buffer.alloc(8);
  control.writeUInt32BE(2, 0);
  const first = Buffer.alloc(26);
  first.writeUInt32BE(8, 4);
  first.writeUInt32BE(8, 8);
  const second = Buffer.concat([Buffer.from([0, 0, 0, 2]), zlib.deflateSync(Buffer.alloc(8 * 25))]);
  const next = Buffer.from(first);
  next.writeUInt32BE(1, 0);
  const rest = Buffer.from(frame.subarray(at));
  const end = rest.length - 12;
  return new Uint8Array(Buffer.concat([frame.subarray(0, at), chunk('acTL', control), chunk('fcTL', first), rest.subarray(0, end), chunk('fcTL', next), chunk('fdAT', second), rest.subarray(end)]));
}

/** A JPEG whose frame header says another size. */
export function jpegOfSize(jpeg, width, height) {
  const bytes = Buffer.from(jpeg);
  let at = 2;
  while (bytes[at + 1] !== 0xc0) at += 2 + bytes.readUInt16BE(at + 2);
  bytes.writeUInt16BE(height, at + 5);
  bytes.writeUInt16BE(width, at + 7);
  return new Uint8Array(bytes);
}
