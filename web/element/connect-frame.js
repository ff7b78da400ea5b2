// @ts-check
/** The outside of an <iframe> that serves a detector. Knows the protocol only, so it can be copied to where no package is. */

/**
 * @param {HTMLIFrameElement} iframe
 * @param {object} [options]
 * @param {string} [options.origin] of the page inside; that of iframe.src without it
 * @param {(result: any) => void} [options.onResult] of images that the visitor has dropped inside
 * @param {(error: { code: string, message: string }) => void} [options.onError] of such
 * @param {(progress: { stage: string, loaded: number, total: number | null }) => void} [options.onProgress]
 * @param {(height: number) => void} [options.onSize] what the page inside needs, in pixels
 */
export function connectFrame(iframe, { origin = new URL(iframe.src, document.baseURI).origin, onResult, onError, onProgress, onSize } = {}) {
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  const waiting = new Map();
  let count = 0;
  const ending = new AbortController();
  /** @type {(info: any) => void} */
  let resolveReady = () => {};
  const ready = new Promise((resolve) => (resolveReady = resolve));

  // It carries nothing, so it may reach whoever is there; all else goes to the origin that is expected.
  const greet = () => iframe.contentWindow?.postMessage({ nac: 1, type: 'hello' }, '*');

  addEventListener('message', ({ data, source, origin: from }) => {
    if (source !== iframe.contentWindow || from !== origin || data?.nac !== 1) return;
    const { type, id } = data;
    const asked = waiting.get(id);
    waiting.delete(id);
    if (type === 'ready') resolveReady(data);
    else if (type === 'progress') onProgress?.(data);
    else if (type === 'size') onSize?.(data.height);
    else if (type === 'result') asked ? asked.resolve(data.result) : onResult?.(data.result);
    else if (type === 'error') asked ? asked.reject(Object.assign(new Error(data.message), { code: data.code })) : onError?.(data);
  }, { signal: ending.signal });
  iframe.addEventListener('load', greet, { signal: ending.signal });
  greet();

  return {
    /** What is known of the model inside. */
    ready,
    /**
     * @param {Blob | ArrayBuffer | ArrayBufferView} image
     * @param {{ name?: string }} [options]
     * @returns {Promise<any>} schema "nac.result/1"
     */
    async score(image, { name = /** @type {any} */ (image).name } = {}) {
      await ready;
      const id = ++count;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        iframe.contentWindow?.postMessage({ nac: 1, type: 'score', id, image, name }, origin);
      });
    },
    clear: () => iframe.contentWindow?.postMessage({ nac: 1, type: 'clear' }, origin),
    close() {
      ending.abort();
      for (const { reject } of waiting.values()) reject(Object.assign(new Error('the connection has been closed'), { code: 'CLOSED' }));
      waiting.clear();
    },
  };
}
