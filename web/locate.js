// @ts-check
/**
 * Where the page's own files are. Beside the page, as a rule; the single-file page carries them inside itself, and puts their
 * addresses here before anything else runs.
 */

/** @type {Record<string, string>} */
const inside = /** @type {any} */ (globalThis).nacFiles ?? {};

/** @param {string} path relative to the page */
export const locate = (path) => new URL(inside[path] ?? path, document.baseURI);
