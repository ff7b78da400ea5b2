// Reads float32 and uint8 tensors of a safetensors file.
import { readFileSync } from 'node:fs';

/** @returns {{ metadata: Record<string, string>, tensors: Record<string, { shape: number[], values: Float32Array | Uint8Array }> }} */
export function readTensors(file) {
  const bytes = new Uint8Array(readFileSync(file));
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const { __metadata__: metadata = {}, ...header } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(header)) {
    const raw = bytes.slice(8 + length + start, 8 + length + end);
    if (dtype !== 'F32' && dtype !== 'U8') throw new Error(`${name}: ${dtype}`);
    tensors[name] = { shape, values: dtype === 'U8' ? raw : new Float32Array(raw.buffer) };
  }
  return { metadata, tensors };
}
