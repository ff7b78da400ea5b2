// @ts-check
/** Writes float32 tensors in the safetensors format: length of the header (u64), the header as JSON, the numbers. */

/**
 * @param {{ name: string, shape: number[], rows: Float32Array[] }[]} tensors rows: the numbers in pieces
 * @param {Record<string, string>} metadata
 * @returns {Generator<Uint8Array>}
 */
export function* safetensors(tensors, metadata) {
  /** @type {Record<string, any>} */
  const header = { __metadata__: metadata };
  let offset = 0;
  for (const { name, shape, rows } of tensors) {
    const bytes = 4 * shape.reduce((a, b) => a * b, 1);
    const given = rows.reduce((sum, row) => sum + row.byteLength, 0);
    if (given !== bytes) throw new Error(`${name}: ${given} bytes for the shape ${shape}`);
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  // Spaces, so that the numbers begin at a multiple of 8.
  let text = JSON.stringify(header);
  const length = new TextEncoder().encode(text).length;
  text += ' '.repeat((8 - (length % 8)) % 8);
  const encoded = new TextEncoder().encode(text);
  const size = new DataView(new ArrayBuffer(8));
  size.setBigUint64(0, BigInt(encoded.length), true);
  yield new Uint8Array(size.buffer);
  yield encoded;
  for (const { rows } of tensors) for (const row of rows) yield new Uint8Array(row.buffer, row.byteOffset, row.byteLength);
}
