// @ts-check
/** The page's side of the workbench. */
import { loadModule } from '../../wasm/js/detector.js';
import { unpackError } from '../../wasm/js/error.js';
import { host } from '../../wasm/js/host-browser.js';
import { binary } from '../engine/detector.js';

/** @typedef {{ done: number, total?: number, failed?: { file: string, message: string } }} Progress */

/** The binary, compiled here: of a page from file:// the workers may not read its blobs. */
async function compiled() {
  const { variant, wasm } = binary();
  return { variant, wasm: (await loadModule(host, { variant, wasm })).module };
}

/** A call that can be paused and ended. Its promise rejects with an AbortError when it was. */
export class Job {
  #worker;
  #id;
  /** @type {Promise<any>} */
  result;

  /** @param {Worker} worker @param {number} id @param {Promise<any>} result */
  constructor(worker, id, result) {
    this.#worker = worker;
    this.#id = id;
    this.result = result;
  }

  /** @param {boolean} on */
  pause(on) {
    this.#worker.postMessage({ id: this.#id, pause: on });
  }

  cancel() {
    this.#worker.postMessage({ id: this.#id, abort: true });
  }
}

export class Bench {
  #worker = new Worker(new URL('./bench-worker.js', import.meta.url), { type: 'module' });
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: any) => void, onProgress?: (progress: Progress) => void }>} */
  #waiting = new Map();
  #next = 0;

  constructor() {
    this.#worker.addEventListener('message', ({ data: { id, result, error, progress } }) => {
      const waiting = this.#waiting.get(id);
      if (progress) return waiting?.onProgress?.(progress);
      this.#waiting.delete(id);
      if (error) waiting?.reject(error.aborted ? new DOMException('cancelled', 'AbortError') : unpackError(error));
      else waiting?.resolve(result);
    });
    this.#worker.addEventListener('error', ({ message }) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(message || 'the workbench could not be started'));
      this.#waiting.clear();
    });
  }

  /**
   * @param {string} call
   * @param {any} [args]
   * @param {(progress: Progress) => void} [onProgress]
   */
  start(call, args = {}, onProgress) {
    const id = this.#next++;
    const result = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject, onProgress }));
    this.#worker.postMessage({ id, call, args, files: /** @type {any} */ (globalThis).nacFiles });
    return new Job(this.#worker, id, result);
  }

  /** @param {File[]} model with the files that it names */
  async inspect(model) {
    return this.start('inspect', { binary: await compiled(), model }).result;
  }

  /** @param {File[]} model @param {{ layers: any, preprocess: string }} how */
  async open(model, how) {
    return this.start('open', { binary: await compiled(), model, ...how }).result;
  }

  close() {
    this.#worker.terminate();
  }
}
