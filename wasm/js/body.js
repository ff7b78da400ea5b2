// @ts-check
/** What a server sends, piece by piece, so that it can be watched and ended. */
import { checkSize } from './limits.js';

/** Bytes of a block, and of one where nothing is expected any more. */
const BLOCK = 1 << 20;
const LAST = 1 << 12;

/**
 * The whole of a response's body. NacError LIMIT_EXCEEDED as soon as it is too large for what it is: by what the server says of it, or
 * by what has come.
 * @param {Response} response
 * @param {{ kind?: import('./limits.js').Kind, name: string, onProgress?: (progress: { loaded: number, total: number | null }) => void,
 *   sink?: Sink }} options
 */
export async function readBody(response, { kind, name, onProgress, sink = new Reuse() }) {
  // A compressed body's length is not that of what arrives here.
  const total = response.headers.get('content-encoding') ? null : Number(response.headers.get('content-length')) || null;
  const check = (/** @type {number} */ bytes) => kind && checkSize(kind, bytes, name);
  try {
    check(total ?? 0);
  } catch (error) {
    void response.body?.cancel().catch(() => {}); // it need not come
    throw error;
  }
  const promised = (kind && total) || 0; // within its limit, or nothing has been asked for yet
  let bytes = new Uint8Array(0);
  let loaded = 0;
  for await (const { part, piece } of read(response.body, promised, sink)) {
    check(loaded + part.length);
    // Put in its place while the next one is on its way. Where nobody has said how much there will be, there is room for as much again.
    if (loaded + part.length > bytes.length) bytes = enlarged(bytes, loaded, loaded + part.length <= promised ? promised : 2 * (loaded + part.length));
    bytes.set(part, loaded);
    loaded += part.length;
    if (piece) sink.put(piece, total);
    onProgress?.({ loaded, total });
  }
  return loaded === bytes.length ? bytes : bytes.slice(0, loaded);
}

/** @typedef {import('./host.js').Sink} Sink */

/** Where nobody wants the pieces, one block is enough. @implements {Sink} */
class Reuse {
  /** @type {ArrayBuffer[]} */
  spares = [];

  /** @param {Uint8Array} piece */
  put(piece) {
    this.spares = [/** @type {ArrayBuffer} */ (piece.buffer)];
  }
}

/** What has come, and the piece that is complete with it, if any. @typedef {{ part: Uint8Array, piece: Uint8Array | null }} Part */

/**
 * Where the browser can, it writes into blocks of ours, which saves a copy of everything. A body that nobody reads to its end is given up.
 * @param {ReadableStream<Uint8Array> | null} body
 * @param {number} promised bytes in all, 0: unknown
 * @param {Sink} sink of the pieces
 * @returns {AsyncGenerator<Part>}
 */
async function* read(body, promised, sink) {
  if (!body) return;
  const filler = fillerOf(body);
  const reader = filler ? null : body.getReader();
  try {
    if (filler) yield* fill(filler, promised, sink);
    else if (reader) yield* take(reader);
  } finally {
    void (filler ?? reader)?.cancel().catch(() => {});
  }
}

/** @param {ReadableStream<Uint8Array>} body */
function fillerOf(body) {
  try {
    return body.getReader({ mode: 'byob' });
  } catch {
    return null; // no stream of bytes, or a browser that does not know them
  }
}

/** @param {ReadableStreamDefaultReader<Uint8Array>} reader @returns {AsyncGenerator<Part>} */
async function* take(reader) {
  for (let next = await reader.read(); !next.done; next = await reader.read()) yield { part: next.value, piece: next.value };
}

/** A block that has been written to before takes less time than a new one. @param {Sink} sink @param {number} size */
function takeBlock({ spares }, size) {
  const spare = spares.at(-1)?.byteLength === size ? spares.pop() : undefined;
  return spare ?? new ArrayBuffer(size);
}

/** @param {ReadableStreamBYOBReader} reader @param {number} promised @param {Sink} sink @returns {AsyncGenerator<Part>} */
async function* fill(reader, promised, sink) {
  let loaded = 0;
  for (let done = false; !done;) {
    const expected = promised === 0 ? BLOCK : promised > loaded ? promised - loaded : LAST;
    let block = takeBlock(sink, Math.min(BLOCK, expected));
    for (let filled = 0; filled < block.byteLength && !done;) {
      const next = await reader.read(new Uint8Array(block, filled));
      if (!next.value) return; // cancelled
      done = next.done;
      block = /** @type {ArrayBuffer} */ (next.value.buffer);
      filled += next.value.length;
      loaded += next.value.length;
      const complete = filled === block.byteLength || done;
      if (filled > 0) yield { part: next.value, piece: complete ? new Uint8Array(block, 0, filled) : null };
    }
  }
}

/** @param {Uint8Array} bytes @param {number} used @param {number} size */
function enlarged(bytes, used, size) {
  const larger = new Uint8Array(size);
  larger.set(bytes.subarray(0, used));
  return larger;
}
