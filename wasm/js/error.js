// @ts-check
/**
 * The one error type of this package. `code` is a name of nac.h's status list (MALFORMED, UNSUPPORTED, MISMATCH, …) or one of
 * the host's own: NO_SIMD, NOT_FOUND, WORKER_FAILED, TIMEOUT, CLOSED. `message` is one sentence that can be shown to a user.
 */
export class NacError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {string[]} [files] of NOT_FOUND: those that a model needs and that are not there
   */
  constructor(code, message, files) {
    super(message);
    this.name = 'NacError';
    this.code = code;
    if (files) this.files = files;
  }
}

/**
 * An error as a plain object that survives postMessage (structured clone keeps an Error's message, but not its code).
 * @param {any} error
 * @returns {{ code: string, message: string, name: string, files?: string[] }}
 */
export function packError(error) {
  const { code = 'INTERNAL', message = error, name = 'Error', files } = error ?? {};
  return { code: String(code), message: String(message), name: String(name), ...(files && { files }) };
}

/**
 * @param {{ code: string, message: string, name: string, files?: string[] }} packed
 * @returns {Error}
 */
export function unpackError({ code, message, name, files }) {
  return name === 'AbortError' ? new DOMException(message, 'AbortError') : new NacError(code, message, files);
}
