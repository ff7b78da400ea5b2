// @ts-check
/** What a server sends, piece by piece, so that it can be watched and ended. */
import { checkSize } from './limits.js';

/**
 * The whole of a response's body. NacError LIMIT_EXCEEDED as soon as it is too large for what it is: by what the server says of it, or
 * by what has come.
 * @param {Response} response
 * @param {{ kind?: import('./limits.js').Kind, name: string, onProgress?: (progress: { loaded: number, total: number | null }) => void }} options
 */
export async function readBody(response, { kind, name, onProgress }) {
  // A compressed body's length is not that of what arrives here.
  const total = response.headers.get('content-encoding') ? null : Number(response.headers.get('content-length')) || null;
  const check = (/** @type {number} */ bytes) => kind && checkSize(kind, bytes, name);
  const chunks = [];
  let loaded = 0;
  const reader = response.body?.getReader();
  try {
    check(total ?? 0);
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
      loaded += next.value.length;
      check(loaded);
      chunks.push(next.value);
      onProgress?.({ loaded, total });
    }
  } catch (error) {
    void reader?.cancel().catch(() => {}); // the rest need not come
    throw error;
  }
  const bytes = new Uint8Array(loaded);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
