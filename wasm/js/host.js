// @ts-check
/**
 * What the package needs of its surroundings. index.js brings a browser's, node.js Node's; nothing else knows which it is.
 *
 * @typedef {object} Sink where a file goes while it comes
 * @property {(piece: Uint8Array, total: number | null) => void} put is given every piece, to keep, and how many bytes all of them will have by what the
 *   server says
 * @property {ArrayBuffer[]} spares blocks of pieces that are not needed any more: who wants a new one takes one of these
 *
 * @typedef {object} Host
 * @property {() => number} cores
 * @property {(variant: import('./variants.js').Variant) => URL} wasm where the binary lies
 * @property {(variant: 'auto' | import('./variants.js').Variant) => void} prepare before the variant is chosen
 * @property {import('./pool.js').CreateWorker} createWorker
 * @property {(source: URL | string, options: { kind?: import('./limits.js').Kind, signal?: AbortSignal, onProgress?: (progress: { loaded: number, total: number | null }) => void,
 *   sink?: Sink }) => Promise<Uint8Array>} read
 *   kind: of what; a limit for its size. sink: where the host likes, it is given what comes from a server as it comes
 * @property {(source: URL | string, name: string) => URL | string | null} beside the file of that name in the folder of another, null where that is in none
 * @property {(bytes: Uint8Array) => Promise<{ pixels: Uint8Array, width: number, height: number } | null>} [decode]
 *   an image that is neither PNG nor JPEG, null where the host cannot either
 */

/**
 * @param {URL} address
 * @param {string} name of a file, parts divided by '/'; every part is one, whatever is in it
 */
export function addressBeside(address, name) {
  return /^(blob|data):/.test(address.protocol) ? null : new URL(name.split('/').map(encodeURIComponent).join('/'), address);
}
