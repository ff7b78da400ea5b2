// @ts-check
/** What Node offers. The only module of this folder, with worker-node.js, that imports from Node. */
import { open } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import v8 from 'node:v8';
import { Worker } from 'node:worker_threads';
import { readBody } from './body.js';
import { NacError } from './error.js';
import { addressBeside } from './host.js';
import { checkSize } from './limits.js';

/** @typedef {import('./host.js').Host} Host */

/** @type {Host} */
export const host = {
  cores: () => os.availableParallelism(),

  wasm: (variant) =>
    variant === 'relaxed' ? new URL('../../dist/nac-relaxed.wasm', import.meta.url) : new URL('../../dist/nac-simd.wasm', import.meta.url),

  // Node 20 has relaxed SIMD behind a flag, which may be set until the first module is compiled, and holds for workers too.
  prepare(variant) {
    if (variant !== 'simd' && Number(process.versions.node.split('.')[0]) < 21) v8.setFlagsFromString('--experimental-wasm-relaxed-simd');
  },

  createWorker({ message, failure }) {
    const worker = new Worker(new URL('./worker-node.js', import.meta.url));
    worker.on('message', message);
    worker.on('error', (error) => failure(error.message));
    worker.on('exit', (code) => failure(`it ended with code ${code}`));
    return {
      post: (data, transfer = []) => worker.postMessage(data, transfer),
      close: () => void worker.terminate(),
    };
  },

  async read(source, { kind, signal, onProgress }) {
    const address = source instanceof URL ? source : toAddress(source);
    if (address instanceof URL && address.protocol !== 'file:') {
      const response = await fetch(address, { signal });
      if (!response.ok) throw new NacError('NOT_FOUND', `${address}: the server answers ${response.status}`);
      return readBody(response, { kind, name: String(address), onProgress });
    }
    const bytes = await readBytes(address instanceof URL ? fileURLToPath(address) : address, { kind, signal });
    onProgress?.({ loaded: bytes.length, total: bytes.length });
    return bytes;
  },

  beside(source, name) {
    const address = source instanceof URL ? source : toAddress(source);
    return address instanceof URL ? addressBeside(address, name) : path.join(path.dirname(address), ...name.split('/'));
  },
};

/**
 * A file's bytes. NOT_FOUND where it cannot be read; LIMIT_EXCEEDED, before it is read, where it is too large for what it is.
 * @param {string} file
 * @param {{ kind?: import('./limits.js').Kind, signal?: AbortSignal }} [options]
 */
export async function readBytes(file, { kind, signal } = {}) {
  let handle;
  try {
    handle = await open(file);
    if (kind) checkSize(kind, (await handle.stat()).size, file);
    const bytes = await handle.readFile({ signal });
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (error instanceof NacError) throw error;
    throw new NacError('NOT_FOUND', `${file}: ${reasonOf(/** @type {NodeJS.ErrnoException} */ (error))}`);
  } finally {
    await handle?.close();
  }
}

/** A string is an address when it has a scheme of more than one letter (C: is a drive), else a path.
 * @param {string} text
 */
function toAddress(text) {
  return /^[a-z][a-z0-9+.-]+:/i.test(text) ? new URL(text) : text;
}

/** @param {NodeJS.ErrnoException} error */
export function reasonOf(error) {
  /** @type {Record<string, string>} */
  const known = { ENOENT: 'no such file', EACCES: 'no permission to read it', EISDIR: 'it is a folder', ENOTDIR: 'no such file' };
  return known[error.code ?? ''] ?? error.message;
}
