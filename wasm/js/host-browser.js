// @ts-check
/** What a page offers: workers, fetch, and decoders for the formats that the core does not read. */
import { readBody } from './body.js';
import { NacError } from './error.js';
import { addressBeside } from './host.js';
import { checkImageSize } from './limits.js';

/** @typedef {import('./host.js').Host} Host */

/** @type {Host} */
export const host = {
  cores: () => navigator.hardwareConcurrency || 2,

  // Literal addresses, so that bundlers find and copy the files.
  wasm: (variant) =>
    variant === 'relaxed' ? new URL('../../dist/nac-relaxed.wasm', import.meta.url) : new URL('../../dist/nac-simd.wasm', import.meta.url),

  prepare() {},

  createWorker({ message, failure }) {
    const worker = new Worker(new URL('./worker-browser.js', import.meta.url), { type: 'module' });
    return adoptWorker(worker, { message, failure });
  },

  async read(source, { kind, signal, onProgress, sink }) {
    // What is small is of use before the model is.
    const response = await fetch(source, { signal, priority: kind === 'model' ? 'low' : 'high' }).catch((error) => {
      if (signal?.aborted) throw error;
      throw new NacError('NOT_FOUND', `${source}: ${error.message}`);
    });
    if (!response.ok) throw new NacError('NOT_FOUND', `${source}: the server answers ${response.status} ${response.statusText}`.trimEnd());
    return readBody(response, { kind, name: String(source), onProgress, sink });
  },

  // A worker has no document.
  beside: (source, name) => addressBeside(new URL(source, /** @type {any} */ (globalThis).document?.baseURI ?? location.href), name),

  /** WebP, AVIF, GIF, …: whatever this browser shows. Its pixels may differ a little from another browser's. */
  async decode(bytes) {
    const { imageSize } = await import('./image-size.js');
    const declared = imageSize(bytes);
    if (declared) checkImageSize(declared.width, declared.height);
    const blob = new Blob([/** @type {any} */ (bytes)]);
    const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' }).catch(() => null);
    if (!bitmap) return null;
    const { width, height } = bitmap;
    checkImageSize(width, height);
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    context?.drawImage(bitmap, 0, 0);
    bitmap.close();
    const image = context?.getImageData(0, 0, width, height);
    return image ? { pixels: new Uint8Array(image.data.buffer), width, height } : null;
  },
};

/**
 * A Worker as the pool wants it; for pages that must make the worker themselves (a single file, an odd bundler).
 * @param {Worker} worker
 * @param {{ message: (message: any) => void, failure: (reason: string) => void }} listeners
 */
export function adoptWorker(worker, { message, failure }) {
  worker.addEventListener('message', ({ data }) => message(data));
  worker.addEventListener('error', (event) => failure(event.message || 'its script could not be loaded'));
  worker.addEventListener('messageerror', () => failure('a message could not be read'));
  return {
    post: (/** @type {any} */ data, /** @type {any[]} */ transfer = []) => worker.postMessage(data, transfer),
    close: () => worker.terminate(),
  };
}
