// @ts-check
/** Asks a worker of its own how covered every single neuron is. Started with the first question. */

export class Inspector {
  #setup;
  /** @type {Worker | undefined} */
  #worker;
  /** @type {((answer: any) => void)[]} answers come in the order of the questions */
  #waiting = [];

  /** @param {{ module: WebAssembly.Module, model: Uint8Array, profile: Uint8Array }} setup */
  constructor(setup) {
    this.#setup = setup;
  }

  /**
   * @param {Blob} image
   * @returns {Promise<Float32Array[] | null>} per layer, per neuron 0..1; null where the worker cannot say
   */
  async coverage(image) {
    const bytes = new Uint8Array(await image.arrayBuffer());
    if (!this.#worker) {
      this.#worker = new Worker(new URL('./inspector-worker.js', import.meta.url), { type: 'module' });
      this.#worker.addEventListener('message', ({ data }) => this.#waiting.shift()?.(data.coverage));
      this.#worker.addEventListener('error', () => this.#waiting.splice(0).forEach((resolve) => resolve(null)));
      this.#worker.postMessage({ setup: this.#setup });
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#worker?.postMessage({ bytes }, [bytes.buffer]);
    });
  }

  close() {
    this.#worker?.terminate();
    this.#waiting.splice(0).forEach((resolve) => resolve(null));
  }
}
