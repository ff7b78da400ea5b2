// @ts-check
/**
 * Detectors that elements share: one for each model with its profile, and one set of workers, however many elements of a page
 * show them. The first who asks starts it, the last who leaves ends it.
 */
import { loadDetector } from '../../wasm/js/index.js';

/**
 * @typedef {import('../../wasm/js/index.js').Detector} Detector
 * @typedef {import('../../wasm/js/detector.js').Progress} Progress
 * @typedef {import('../../wasm/js/detector.js').CommonOptions & { model: any, profile: any }} Options
 * @typedef {{ key: string, ready: Promise<Detector>, release: () => void }} Lease
 */

/** @typedef {{ ready: Promise<Detector>, users: Set<(progress: Progress) => void>, seen: Map<string, Progress>, abort: AbortController }} Entry */

/** @type {Map<string, Entry>} */
const entries = new Map();

/** @type {WeakMap<object, number>} bytes and files are the same when they are the same object */
const numbers = new WeakMap();
let count = 0;

/** @param {any} source @returns {string} */
function identify(source) {
  if (source === undefined || source === null) return '';
  if (typeof source === 'string' || source instanceof URL) return new URL(source, document.baseURI).href;
  if (source.simd) return [identify(source.simd), identify(source.relaxed)].join(' ');
  if (Array.isArray(source)) return source.map(identify).join(' ');
  if (source.files) return [identify(source.model), ...Object.entries(source.files).map(([name, file]) => `${name} ${identify(file)}`)].join(' ');
  if (!numbers.has(source)) numbers.set(source, ++count);
  return `#${numbers.get(source)}`;
}

/** What two elements must have in common to share a detector. @param {Options} options */
export function keyOf({ model, profile, wasm, variant, workers, createWorker }) {
  return JSON.stringify([identify(model), identify(profile), identify(wasm), variant ?? 'auto', workers ?? null, identify(createWorker)]);
}

/**
 * @param {Options} options
 * @param {(progress: Progress) => void} onProgress also hears what was reported before
 * @returns {Lease}
 */
export function borrow(options, onProgress) {
  const key = keyOf(options);
  const entry = entries.get(key) ?? open(key, options);
  entry.users.add(onProgress);
  for (const progress of entry.seen.values()) onProgress(progress);
  return { key, ready: entry.ready, release: () => leave(key, entry, onProgress) };
}

/** @param {string} key @param {Options} options */
function open(key, options) {
  const abort = new AbortController();
  /** @type {Entry} */
  const entry = { users: new Set(), seen: new Map(), abort, ready: /** @type {any} */ (null) };
  const report = (/** @type {Progress} */ progress) => {
    entry.seen.set(progress.stage, progress);
    for (const user of entry.users) user(progress);
  };
  const absolute = (/** @type {any} */ source) => (typeof source === 'string' ? new URL(source, document.baseURI) : source);
  entry.ready = loadDetector({ ...options, model: absolute(options.model), profile: absolute(options.profile), signal: abort.signal, onProgress: report });
  // One that failed isn't kept: whoever asks next tries again.
  entry.ready.catch(() => entries.get(key) === entry && entries.delete(key));
  entries.set(key, entry);
  return entry;
}

/** @param {string} key @param {Entry} entry @param {(progress: Progress) => void} user */
function leave(key, entry, user) {
  if (!entry.users.delete(user) || entry.users.size > 0) return;
  if (entries.get(key) === entry) entries.delete(key);
  entry.abort.abort();
  entry.ready.then((detector) => detector.close(), () => {});
}
