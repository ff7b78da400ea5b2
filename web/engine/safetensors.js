// @ts-check
/** Reads tensors of a safetensors file: eight bytes of length, a JSON header, then the data. */

/** @type {Record<string, any>} */
const TYPES = { F32: Float32Array, F64: Float64Array, U32: Uint32Array };

/**
 * @param {Uint8Array} bytes
 * @param {string} name
 * @returns {any} a typed array (a copy), or null where there is no such tensor
 */
export function readTensor(bytes, name) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = Number(view.getBigUint64(0, true));
  const entry = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + size)))[name];
  const Type = entry && TYPES[entry.dtype];
  if (!Type) return null;
  const [begin, end] = entry.data_offsets.map((/** @type {number} */ offset) => 8 + size + offset);
  return new Type(bytes.slice(begin, end).buffer);
}
