// @ts-check
/** A model as callers hand it in: its file, the files that it names for its weights, and the hash of all of them. */
import { NacError } from './error.js';
import { sha256Hex } from './hash.js';
import { bytesOf, nameOf } from './images.js';
import { checkModelSize, checkSize } from './limits.js';
import { namedFiles } from './model-files.js';
import { inOrder } from './pool.js';

/**
 * @typedef {import('./host.js').Host} Host
 * @typedef {URL | string | Blob | ArrayBuffer | ArrayBufferView} Source
 * @typedef {Source | File[] | { model: Source, files: Record<string, Source> }} ModelSource alone; with the files that it names, found among others by
 *   their names; or with a source for each of these names. What is not handed in is looked for beside the model, where that has an address
 * @typedef {{ name: string, bytes: Uint8Array }} NamedBytes name: as the model has it
 * @typedef {{ loaded: number, total: number | null }} Amount
 */

// Files that are read at a time: a model may have one for every tensor.
const AT_ONCE = 8;

/**
 * The bytes of a model, a profile or a binary.
 * @param {Host} host
 * @param {Source} source
 * @param {{ kind?: import('./limits.js').Kind, signal?: AbortSignal, onProgress?: (amount: Amount) => void, sink?: import('./host.js').Sink }} options
 */
export async function readSource(host, source, options) {
  const { kind } = options;
  const size = /** @type {any} */ (source)?.byteLength ?? /** @type {any} */ (source)?.size;
  if (kind && size) checkSize(kind, size, nameOf(source));
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (ArrayBuffer.isView(source)) return bytesOf(source);
  if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  if (isAddress(source)) return host.read(source, options);
  throw new NacError('INVALID_ARGUMENT', 'a URL, a File or Blob, or bytes are needed');
}

/** @param {unknown} source @returns {source is URL | string} */
const isAddress = (source) => typeof source === 'string' || source instanceof URL;

/** For messages. @param {any} source */
export function sourceName(source) {
  if (typeof source === 'string') return source;
  return source instanceof URL ? source.href : nameOf(source);
}

/**
 * The model itself, and where one of its files is, if it was handed in.
 * @param {ModelSource} source
 * @returns {{ model: Source, find: (name: string) => Source | undefined }}
 */
export function divideModel(source) {
  if (Array.isArray(source)) {
    const model = source.find(({ name }) => /\.onnx$/i.test(name)) ?? source[0];
    return { model, find: (name) => findFile(name, model, source.filter((file) => file !== model)) };
  }
  const { model, files } = /** @type {any} */ (source);
  if (model !== undefined && files) return { model, find: (name) => (Object.hasOwn(files, name) ? files[name] : undefined) };
  return { model: /** @type {Source} */ (source), find: () => undefined };
}

/**
 * A file's name is all that most have. Of several that have it, the one that lies where the model looks for it, or else one whose path fits.
 * @param {string} name
 * @param {File} model
 * @param {File[]} files
 */
function findFile(name, model, files) {
  const alike = files.filter((file) => file.name === name.split('/').at(-1));
  const pathOf = (/** @type {any} */ file) => file.webkitRelativePath || file.name; // Node's files have none
  const place = pathOf(model).slice(0, -model.name.length) + name;
  return alike.find((file) => pathOf(file) === place) ?? alike.find((file) => `/${pathOf(file)}`.endsWith(`/${name}`)) ?? alike[0];
}

/**
 * @param {Host} host
 * @param {ModelSource} source
 * @param {{ signal?: AbortSignal, onProgress?: (amount: Amount) => void, sink?: import('./host.js').Sink }} [options] progress: of all files
 *   together; sink: for the model's own
 * @returns {Promise<{ model: Uint8Array, files: NamedBytes[] }>}
 */
export async function readModel(host, source, { signal, onProgress, sink } = {}) {
  const sum = new Sum(onProgress);
  const model = await readSource(host, divideModel(source).model, { kind: 'model', signal, onProgress: sum.part(), sink });
  return { model, files: await readFiles(host, source, model, { signal, sum }) };
}

/**
 * The files that the model in `bytes` names: those that were handed in, else those beside it.
 * @param {Host} host
 * @param {ModelSource} source
 * @param {Uint8Array} bytes
 * @param {{ signal?: AbortSignal, sum?: Sum }} [options]
 * @returns {Promise<NamedBytes[]>}
 */
export async function readFiles(host, source, bytes, { signal, sum = new Sum() } = {}) {
  const { model, find } = divideModel(source);
  const title = sourceName(model);
  const found = namedFiles(bytes).map((name) => ({ name, source: find(name) ?? (isAddress(model) ? host.beside(model, name) : null) }));
  const missing = found.filter(({ source: where }) => where === null).map(({ name }) => name);
  if (missing.length > 0) throw lacking(title, missing, 'hand it over together with the model');
  let size = bytes.length;
  const read = async (/** @type {{ name: string, source: any }} */ { name, source: where }) => {
    try {
      const file = await readSource(host, where, { kind: 'model', signal, onProgress: sum.part() });
      checkModelSize((size += file.length), title);
      return { name, bytes: file };
    } catch (error) {
      if (!(error instanceof NacError) || error.code !== 'NOT_FOUND') throw error;
      throw lacking(title, [name], `put it beside the model (${error.message})`);
    }
  };
  const files = [];
  for await (const file of inOrder(found, read, AT_ONCE)) files.push(file);
  return files;
}

/** @param {string} model @param {string[]} names @param {string} advice */
function lacking(model, names, advice) {
  const which = names.length === 1 ? `'${names[0]}', which is missing` : `'${names[0]}' and ${names.length - 1} more, which are missing`;
  return new NacError('NOT_FOUND', `${model && `${model}: `}weights lie in ${which}: ${advice}`, names);
}

/**
 * What a profile knows its model by: the file's SHA-256. Of a model with other files, that of a text with the digits of each file in
 * a line, the model's first, the others in the order of their names: so no byte of any can change unnoticed.
 * @param {{ model: Uint8Array, files: NamedBytes[] }} read
 */
export async function hashModel({ model, files }) {
  const digits = [await sha256Hex(model)];
  for (const { bytes } of files) digits.push(await sha256Hex(bytes));
  return files.length === 0 ? digits[0] : sha256Hex(new TextEncoder().encode(digits.map((line) => `${line}\n`).join('')));
}

/** Progress of several files as that of one. */
class Sum {
  /** @type {Amount[]} */
  #parts = [];
  #report;

  /** @param {(amount: Amount) => void} [report] */
  constructor(report) {
    this.#report = report;
  }

  /** @returns {(amount: Amount) => void} */
  part() {
    const at = this.#parts.push({ loaded: 0, total: 0 }) - 1;
    return (amount) => {
      this.#parts[at] = amount;
      const total = this.#parts.reduce((sum, one) => (one.total === null ? NaN : sum + one.total), 0);
      this.#report?.({ loaded: this.#parts.reduce((sum, one) => sum + one.loaded, 0), total: Number.isNaN(total) ? null : total });
    };
  }
}
