// @ts-check
/** What a server sends, piece by piece, so that it can be watched and ended. */
import { checkSize } from './limits.js';

/**
 * The whole of a response's body. NacError LIMIT_EXCEEDED as soon as it is too large for what it is: by what the server says of it, or
 * by what has come.
 * @param {Response} response
 * @param {{ kind?: import('./limits.js').Kind, name: string, onProgress?: (progress: { loaded: number, total: number | null }) => void,
 *   onPiece?: (piece: Uint8Array, total: number | null) => void }} options onPiece: is given every piece, to keep, and how many bytes all of them
 *   will have by what the server says
 */
export async function readBody(response, { kind, name, onProgress, onPiece }) {
  // A compressed body's length is not that of what arrives here.
  const total = response.headers.get('content-encoding') ? null : Number(response.headers.get('content-length')) || null;
  const check = (/** @type {number} */ bytes) => kind && checkSize(kind, bytes, name);
  const promised = (kind && total) || 0; // within its limit, or nothing has been asked for yet
  let bytes = new Uint8Array(0);
  let loaded = 0;
  const reader = response.body?.getReader();
  try {
    check(total ?? 0);
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
      const { value } = next;
      check(loaded + value.length);
      // Put in its place while the next one is on its way. Where nobody has said how much there will be, there is room for as much again.
      if (loaded + value.length > bytes.length) bytes = enlarged(bytes, loaded, loaded + value.length <= promised ? promised : 2 * (loaded + value.length));
      bytes.set(value, loaded);
      loaded += value.length;
      onPiece?.(value, total);
      onProgress?.({ loaded, total });
    }
  } catch (error) {
    void reader?.cancel().catch(() => {}); // the rest need not come
    throw error;
  }
  return loaded === bytes.length ? bytes : bytes.slice(0, loaded);
}

/** @param {Uint8Array} bytes @param {number} used @param {number} size */
function enlarged(bytes, used, size) {
  const larger = new Uint8Array(size);
  larger.set(bytes.subarray(0, used));
  return larger;
}
