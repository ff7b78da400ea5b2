// Safetensors files: reads float32, float64 and uint8 tensors; takes any file apart and puts it together again.
import { readFileSync } from 'node:fs';

/** @returns {{ metadata: Record<string, string>, tensors: Record<string, { shape: number[], values: Float32Array | Float64Array | Uint8Array }> }} */
export function readTensors(file) {
  const bytes = new Uint8Array(readFileSync(file));
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const { __metadata__: metadata = {}, ...header } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(header)) {
    const raw = bytes.slice(8 + length + start, 8 + length + end);
    const Numbers = { F32: Float32Array, F64: Float64Array, U8: Uint8Array }[dtype];
    if (!Numbers) throw new Error(`${name}: ${dtype}`);
    tensors[name] = { shape, values: new Numbers(raw.buffer) };
  }
  return { metadata, tensors };
}

/**
 * @param {Uint8Array} bytes
 * @returns {{ metadata: Record<string, string>, tensors: [string, string, number[], Uint8Array][] }} name, type, shape and bytes, as they lie
 */
export function unpackSafetensors(bytes) {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const { __metadata__: metadata = {}, ...header } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const tensors = Object.entries(header).sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0]);
  return { metadata, tensors: tensors.map(([name, { dtype, shape, data_offsets: [start, end] }]) => [name, dtype, shape, bytes.slice(8 + length + start, 8 + length + end)]) };
}

/** @param {ReturnType<typeof unpackSafetensors>} file */
export function packSafetensors({ metadata, tensors }) {
  let offset = 0;
  const header = { __metadata__: metadata };
  for (const [name, dtype, shape, { length }] of tensors) header[name] = { dtype, shape, data_offsets: [offset, (offset += length)] };
  const text = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([text, Buffer.alloc((8 - (text.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return new Uint8Array(Buffer.concat([length, padded, ...tensors.map(([, , , bytes]) => bytes)]));
}
