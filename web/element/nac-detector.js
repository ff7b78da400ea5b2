// @ts-check
/** <nac-detector>: a drop zone that scores images and shows the verdict, in any page. See README.md beside this file. */
import { h, emit } from '../dom.js';
import { filesOf } from '../intake/inputs.js';
import { NacError } from '../../wasm/js/error.js';
import { inOrder } from '../../wasm/js/pool.js';
import { borrow, keyOf } from './engines.js';
import { View } from './view.js';

/**
 * @typedef {import('../../wasm/js/index.js').Detector} Detector
 * @typedef {import('../../wasm/js/result.js').Result} Result
 * @typedef {import('../../wasm/js/images.js').ImageInput} ImageInput
 * @typedef {import('./view.js').Shown} Shown
 */

/** Properties that are more than their attributes' text. */
const OBJECTS = /** @type {const} */ (['model', 'profile', 'wasm', 'createWorker', 'detector']);
/** What an engine depends on. */
const SOURCES = /** @type {const} */ (['model', 'profile', 'wasm', 'variant', 'workers', 'loading', 'createWorker']);

export class NacDetector extends HTMLElement {
  static observedAttributes = [...SOURCES, 'disabled', 'multiple'];

  #view;
  #input = h('input', { type: 'file', hidden: true, accept: 'image/*', change: () => this.#picked() });
  /** Set by property, which may be more than text. @type {Partial<Record<typeof SOURCES[number], any>>} */
  #sources = {};
  /** @type {import('./engines.js').Lease | null} */
  #lease = null;
  /** One that is the page's own, which is not closed here. @type {Detector | null} */
  #given = null;
  /** @type {Detector | null} */
  #detector = null;
  /** Someone has asked for the engine, be it lazy or not. */
  #wanted = false;
  #syncing = false;
  /** Ends what is being scored. */
  #work = new AbortController();
  /** @type {Shown[]} */
  #shown = [];
  #current = -1;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true });
    this.#view = new View(root, { choose: () => this.choose(), open: (index) => this.#open(index) });
    root.append(this.#input);
    this.#listen();
  }

  connectedCallback() {
    for (const name of OBJECTS) this.#adopt(name);
    this.#schedule();
  }

  disconnectedCallback() {
    this.#schedule();
  }

  /** @param {string} name */
  attributeChangedCallback(name) {
    if (name === 'disabled') this.#view.disabled = this.disabled;
    else if (name === 'multiple') this.#input.multiple = this.multiple;
    else {
      delete this.#sources[/** @type {typeof SOURCES[number]} */ (name)];
      this.#schedule();
    }
  }

  /** A property that was set before the element was defined hides the accessor. @param {typeof OBJECTS[number]} name */
  #adopt(name) {
    if (!Object.hasOwn(this, name)) return;
    const value = this[name];
    delete this[name];
    /** @type {any} */ (this)[name] = value;
  }

  get model() { return this.#source('model'); }
  set model(value) { this.#set('model', value); }
  get profile() { return this.#source('profile'); }
  set profile(value) { this.#set('profile', value); }
  get wasm() { return this.#source('wasm'); }
  set wasm(value) { this.#set('wasm', value); }
  get createWorker() { return this.#source('createWorker'); }
  set createWorker(value) { this.#set('createWorker', value); }
  get disabled() { return this.hasAttribute('disabled'); }
  set disabled(on) { this.toggleAttribute('disabled', Boolean(on)); }
  get multiple() { return this.hasAttribute('multiple'); }
  set multiple(on) { this.toggleAttribute('multiple', Boolean(on)); }
  get explain() { return this.hasAttribute('explain'); }
  set explain(on) { this.toggleAttribute('explain', Boolean(on)); }

  /** The detector in use; null until it is ready. Set one that the page has loaded itself, and the element takes it instead of its own. */
  get detector() { return this.#detector; }
  set detector(value) {
    this.#given = value;
    this.#schedule();
  }

  /** Of the image that is shown; null where there is none or it failed. */
  get result() { return this.#shown[this.#current]?.result ?? null; }
  /** Of all images since the last clear, in their order. */
  get results() { return this.#shown.flatMap(({ result }) => result ?? []); }

  /** Starts the engine where that has not happened. @returns {Promise<Detector>} */
  async load() {
    this.#wanted = true;
    this.#sync();
    if (this.#given) return this.#given;
    if (this.#lease) return this.#lease.ready;
    const error = new NacError('INVALID_ARGUMENT', this.isConnected ? 'this element needs a model and a profile' : 'this element is in no document');
    this.#fail(error);
    throw error;
  }

  /**
   * Scores an image and shows it, in place of those before.
   * @param {ImageInput} image
   * @param {{ name?: string, signal?: AbortSignal }} [options]
   * @returns {Promise<Result>}
   */
  async score(image, { name, signal } = {}) {
    const [shown] = await this.#take([image], { name, signal });
    if (shown.error) throw shown.error;
    return /** @type {Result} */ (shown.result);
  }

  /** Opens the browser's file picker. */
  choose() {
    if (!this.disabled) this.#input.click();
  }

  /** Ends what is under way and shows the drop zone again. */
  clear() {
    this.#begin();
    this.#view.clear();
    if (this.#detector) this.#view.busy(null);
  }

  /** Ends what is under way. What is shown stays until there is something else to show. */
  #begin() {
    this.#work.abort();
    this.#work = new AbortController();
    this.#shown = [];
    this.#current = -1;
    return this.#work;
  }

  /** @param {typeof SOURCES[number]} name */
  #source(name) {
    return this.#sources[name] ?? this.getAttribute(name);
  }

  /** @param {typeof SOURCES[number]} name @param {any} value */
  #set(name, value) {
    if (typeof value === 'string') return this.setAttribute(name, value);
    this.#sources[name] = value ?? undefined;
    this.#schedule();
  }

  /** What the attributes and properties ask for; null where there is no model or no profile. */
  #options() {
    const [model, profile] = [this.#source('model'), this.#source('profile')];
    if (!model || !profile) return null;
    const [wasm, workers] = [this.#source('wasm'), this.#source('workers')];
    // The attribute names the folder of both binaries.
    const at = (/** @type {string} */ file) => new URL(file, new URL(wasm, document.baseURI));
    const pair = typeof wasm === 'string' && wasm.endsWith('/') ? { simd: at('nac-simd.wasm'), relaxed: at('nac-relaxed.wasm') } : wasm;
    return { model, profile, wasm: pair ?? undefined, variant: this.#source('variant') ?? undefined, workers: workers === null ? undefined : Number(workers), createWorker: this.createWorker ?? undefined };
  }

  /** Once for all that changes at a time; an element that only moves keeps its engine. */
  #schedule() {
    if (this.#syncing) return;
    this.#syncing = true;
    queueMicrotask(() => this.#sync());
  }

  #sync() {
    this.#syncing = false;
    if (!this.isConnected) this.clear();
    const options = this.#given || !this.isConnected || (this.getAttribute('loading') === 'lazy' && !this.#wanted) ? null : this.#options();
    if (options && this.#lease?.key === keyOf(options)) return;
    this.#lease?.release();
    this.#lease = null;
    this.#detector = this.#given;
    if (options) this.#borrow(options);
    else this.#view.ready(this.#given ? about(this.#given) : '');
  }

  /** @param {import('./engines.js').Options} options */
  async #borrow(options) {
    const lease = borrow(options, (progress) => {
      this.#view.loading(progress);
      emit(this, 'nac-progress', progress);
    });
    this.#lease = lease;
    this.#view.busy(0);
    try {
      const detector = await lease.ready;
      if (this.#lease !== lease) return;
      this.#detector = detector;
      this.#view.ready(about(detector));
      emit(this, 'nac-ready', { detector, info: detector.info });
    } catch (error) {
      if (this.#lease !== lease) return;
      lease.release();
      this.#lease = null; // whoever asks again tries again
      this.#fail(error);
    }
  }

  #listen() {
    const card = this.#view.card;
    let depth = 0;
    const over = (/** @type {boolean} */ on) => card.classList.toggle('over', on && !this.disabled);
    card.addEventListener('dragenter', () => over(++depth > 0));
    card.addEventListener('dragleave', () => over((depth = Math.max(0, depth - 1)) > 0));
    card.addEventListener('dragover', (/** @type {DragEvent} */ event) => event.preventDefault());
    card.addEventListener('drop', (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      event.stopPropagation(); // a page that takes drops itself need not take this one
      over((depth = 0) > 0);
      if (event.dataTransfer) this.#arrive(filesOf(event.dataTransfer));
    });
    this.addEventListener('paste', (event) => {
      if (!event.clipboardData?.files.length) return;
      event.preventDefault();
      event.stopPropagation();
      this.#arrive(filesOf(event.clipboardData));
    });
  }

  #picked() {
    this.#arrive(Promise.resolve([...(this.#input.files ?? [])]));
    this.#input.value = ''; // or choosing the same file again would be no change
  }

  /** @param {Promise<File[]>} promise */
  async #arrive(promise) {
    const files = await promise;
    if (this.disabled || files.length === 0) return;
    await this.#take(this.multiple ? files : files.slice(0, 1), {}).catch(() => {}); // said by event and in the view
  }

  /**
   * @param {ImageInput[]} images
   * @param {{ name?: string, signal?: AbortSignal }} options
   * @returns {Promise<Shown[]>}
   */
  async #take(images, { name, signal }) {
    signal?.throwIfAborted();
    const work = this.#begin();
    signal?.addEventListener('abort', () => work.abort(signal.reason), { signal: work.signal });
    const detector = await this.load();
    this.#view.busy(0);
    const one = (/** @type {ImageInput} */ image) => this.#ask(detector, image, name, work.signal);
    const taken = [];
    try {
      for await (const shown of inOrder(images, one, detector.window)) {
        work.signal.throwIfAborted();
        taken.push(shown);
        this.#arrived(shown, taken.length, images.length);
      }
    } finally {
      if (this.#work === work) this.#view.busy(null);
    }
    return taken;
  }

  /**
   * @param {Detector} detector
   * @param {any} image
   * @param {string | undefined} name
   * @param {AbortSignal} signal
   * @returns {Promise<Shown>}
   */
  async #ask(detector, image, name = typeof image?.name === 'string' ? image.name : '', signal) {
    const bytes = image instanceof ArrayBuffer || ArrayBuffer.isView(image);
    const blob = image instanceof Blob ? image : bytes ? new Blob([/** @type {any} */ (image)]) : null;
    try {
      // What is no file can be shown only as the network saw it.
      const result = await detector.score(image, { explain: this.explain || !blob, signal });
      return { name, blob, result: { ...result, file: name } };
    } catch (error) {
      signal.throwIfAborted();
      return { name, blob, error };
    }
  }

  /** @param {Shown} shown @param {number} done @param {number} all */
  #arrived(shown, done, all) {
    const index = this.#shown.push(shown) - 1;
    if (index === 0) this.#view.clear();
    if (all > 1) {
      this.#view.addThumb(shown, index);
      emit(this, 'nac-progress', { stage: 'images', loaded: done, total: all });
    }
    this.#view.busy(done / all);
    if (index === 0) this.#open(0);
    const file = shown.blob instanceof File ? shown.blob : null;
    if (shown.result) emit(this, 'nac-result', { result: shown.result, file });
    else emit(this, 'nac-error', { error: shown.error, file });
  }

  /** @param {number} index */
  #open(index) {
    this.#current = index;
    this.#view.show(this.#shown[index], this.#detector?.info.profile.calibration);
    this.#view.select(index);
    this.#view.disabled = this.disabled;
  }

  /** There is no engine. @param {any} error */
  #fail(error) {
    this.#view.ready('');
    this.#view.fail(error);
    emit(this, 'nac-error', { error, file: null });
  }
}

/** @param {Detector} detector */
const about = ({ info }) => (info.labels ? `knows ${info.labels.length} classes · nothing is uploaded` : 'nothing is uploaded');
