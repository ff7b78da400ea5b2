// @ts-check
/**
 * The workbench in a worker of its own: choosing alphas sorts a million numbers, and every setting counts a thousand images anew.
 *
 * In: { id, call, args }, then for calls that go image by image { id, pause } and { id, abort }. Out: { id, progress }, and at the
 * end { id, result } or { id, error }. `files` in the first call are the single-file page's addresses (see locate.js).
 */
import { loadModule } from '../../wasm/js/detector.js';
import { Engine } from '../../wasm/js/engine.js';
import { packError } from '../../wasm/js/error.js';
import { host } from '../../wasm/js/host-browser.js';
import { openWorkbench } from '../../wasm/js/index.js';
import { defaultPreset, inspect } from '../../wasm/js/inspect.js';
import { readModel } from '../../wasm/js/model-source.js';
import { holdOut } from '../../wasm/js/subset.js';
import { KIND_NAMES } from '../../wasm/js/synthetic.js';
import { toImage } from '../intake/pictures.js';

/** @typedef {import('../intake/pictures.js').Picture} Picture */

/** @type {import('../../wasm/js/index.js').Workbench | undefined} */
let bench;
/** Pictures that are held out, of which outliers can be made. @type {Picture[]} */
let held = [];
/** By id: what is under way. @type {Map<number, { control: AbortController, gate: Promise<void>, open: () => void }>} */
const running = new Map();

/** @type {Record<string, (args: any, task: Task) => any>} */
const calls = {
  async inspect({ binary, model }) {
    const engine = await Engine.create((await loadModule(host, binary)).module);
    const { model: bytes, files } = await readModel(host, model);
    const found = inspect(engine, bytes, { files });
    return { ...found, error: found.error && packError(found.error), preset: defaultPreset(found.model) };
  },
  async open({ binary, model, layers, preprocess }) {
    bench?.close();
    // Of a page from file:// this worker may have none of its own, and does everything itself.
    bench = await openWorkbench({ ...binary, model, layers, preprocess, ...(origin === 'null' && { workers: 0 }) });
    held = [];
    return opened().info;
  },
  /** In-distribution images: some are counted, some held out, as many of every class. */
  async collect({ pictures, fraction }, task) {
    const parts = holdOut(/** @type {Picture[]} */ (pictures), fraction, 0);
    held = parts.held;
    opened().clear('profile');
    opened().clear('held');
    await opened().collect('profile', task.each(parts.kept), task.options);
    await opened().collect('held', task.each(parts.held), task.options);
    return opened().counts;
  },
  async outliers({ pictures }, task) {
    opened().clear('ood');
    if (pictures) await opened().collect('ood', task.each(pictures), task.options);
    else await opened().collectSynthetic(held.map(toImage), Math.ceil(held.length / KIND_NAMES.length), task.options);
    return opened().counts;
  },
  defaults: () => opened().defaults(),
  measure: ({ settings, falseAlarm }) => opened().measure(settings, falseAlarm),
  search: (_, { report }) => opened().search({ onProgress: (done, total) => report({ done, total }) }),
  save: ({ settings, options }) => opened().save(settings, options),
};

class Task {
  #done = 0;
  #entry;
  /** @type {{ file: string, message: string }[]} */
  errors = [];

  /** @param {number} id */
  constructor(id) {
    this.id = id;
    this.#entry = { control: new AbortController(), gate: Promise.resolve(), open: () => {} };
    running.set(id, this.#entry);
    this.report = (/** @type {any} */ progress) => postMessage({ id, progress });
    this.options = {
      signal: this.#entry.control.signal,
      onProgress: () => this.report({ done: ++this.#done }),
      onError: (/** @type {string} */ file, /** @type {Error} */ error) => this.report({ done: this.#done, failed: { file, message: error.message } }),
    };
  }

  /** Images as they are wanted; a pause keeps the next one back. @param {Picture[]} pictures */
  async *each(pictures) {
    for (const picture of pictures) {
      await this.#entry.gate;
      this.#entry.control.signal.throwIfAborted();
      yield toImage(picture);
    }
  }
}

function opened() {
  if (!bench) throw new Error('no model has been opened');
  return bench;
}

addEventListener('message', async ({ data: { id, call, args, files, abort, pause } }) => {
  if (files) /** @type {any} */ (globalThis).nacFiles ??= files;
  const entry = running.get(id);
  if (abort) {
    entry?.control.abort();
    return entry?.open();
  }
  if (pause !== undefined) {
    entry?.open();
    if (pause && entry) entry.gate = new Promise((resolve) => (entry.open = () => resolve()));
    return;
  }
  try {
    postMessage({ id, result: await calls[call](args, new Task(id)) });
  } catch (error) {
    postMessage({ id, error: { ...packError(error), aborted: running.get(id)?.control.signal.aborted } });
  } finally {
    running.delete(id);
  }
});
