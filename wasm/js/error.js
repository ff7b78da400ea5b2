// @ts-check
/**
 * The one error type of this package. `code` is a name of nac.h's status list (MALFORMED, UNSUPPORTED, MISMATCH, …) or one of
 * the host's own: NO_SIMD, NOT_FOUND, WORKER_FAILED, TIMEOUT, CLOSED. `message` is one sentence that can be shown to a user.
 */
export class NacError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = 'NacError';
    this.code = code;
  }
}

/**
 * An error as a plain object that survives postMessage (structured clone keeps an Error's message, but not its code).
 * @param {any} error
 * @returns {{ code: string, message: string, name: string }}
 */
export function packError(error) {
  return { code: String(error?.code ?? 'INTERNAL'), message: String(error?.message ?? error), name: String(error?.name ?? 'Error') };
}

/**
 * @param {{ code: string, message: string, name: string }} packed
 * @returns {Error}
 */
export function unpackError({ code, message, name }) {
  return name === 'AbortError' ? new DOMException(message, 'AbortError') : new NacError(code, message);
}
