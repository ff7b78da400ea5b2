// @ts-check
/** A model of one's own, from the file to a profile: what it holds, which images it knows, how its layers are set, and where it goes. */
import '../intake/folder.js';
import './tuning.js';
import { announce, emit, h, replace } from '../dom.js';
import { download } from '../export.js';
import { complete, waitFor } from '../intake/incomplete.js';
import { sortOut } from '../intake/inputs.js';
import { pathOf } from '../intake/paths.js';
import { toPictures } from '../intake/pictures.js';
import { locate } from '../locate.js';
import { errorCard } from '../result/error.js';
import { Bench } from './bench.js';
import { ModelView } from './model.js';

export class Workshop extends HTMLElement {
  /** @type {Bench | null} */
  #bench = null;
  /** The .onnx file, and those that came with it. @type {File[]} */
  #model = [];
  #view = new ModelView();
  #problem = h('div');
  #folder = element('nac-folder', { title: 'Drop a folder of familiar images', hint: 'What the network was trained for. Sub-folders are classes.' });
  #outliers = element('nac-folder', { title: 'Drop a folder of outliers', hint: 'Whatever it should refuse. Optional.' });
  #synthetic = h('button', { type: 'button', click: () => this.#collectOutliers(null) }, 'Make outliers of the held-out images');
  #search = h('button', { type: 'button', class: 'primary', click: () => this.#runSearch() }, 'Search the best settings');
  #tuning = /** @type {import('./tuning.js').Tuning} */ (document.createElement('nac-tuning'));
  #fraction = h('input', { type: 'range', id: 'fraction', min: 10, max: 60, step: 5, value: 30, input: () => (this.#share.textContent = `${this.#fraction.value} %`) });
  #share = h('output', { for: 'fraction', class: 'number' }, '30 %');
  /** @type {HTMLElement[]} */
  #steps = [];
  #counts = { profile: 0, held: 0, ood: 0 };
  #labels = /** @type {string[] | undefined} */ (undefined);

  connectedCallback() {
    if (this.childElementCount > 0) return;
    const picker = h('input', { type: 'file', multiple: true, hidden: true, id: 'model-file', change: () => { this.#picked([...picker.files]); picker.value = ''; } });
    this.#steps = [
      step(1, 'The model', h('div', { class: 'row start' },
        h('button', { type: 'button', class: 'primary', click: () => picker.click() }, 'Choose an .onnx file'),
        h('button', { type: 'button', click: () => this.#bundled() }, 'Take the bundled one'), h('span', { class: 'hint' }, 'or drop it anywhere on this page, with its .onnx.data file if it has one'), picker),
      this.#problem, this.#view.element),
      step(2, 'Images that it knows',
        h('p', null, 'They are run once. Most are counted into the profile; the rest are held out: half of these set the threshold, the other half are compared with outliers.'),
        h('p', { class: 'row start' }, h('label', { for: 'fraction' }, 'Held out'), this.#fraction, this.#share), this.#folder),
      step(3, 'Settings, and what they do',
        h('div', { class: 'pair' }, this.#outliers, h('div', { class: 'side' },
          h('p', { class: 'hint' }, 'Without real outliers, made ones will do for a start, a dozen kinds of them: noise, clouds, strokes, shuffled patches… They are far ones; of near ones they say nothing.'),
          this.#synthetic, this.#search)),
        this.#tuning),
      step(4, 'Take the profile with you', h('p', null, 'One .safetensors file: counts, edges, threshold, preprocessing, and the model’s hash. Python’s safetensors opens it, the command line and this page load it.'),
        h('p', { class: 'row start' },
          h('button', { type: 'button', class: 'primary', click: () => this.#save(false) }, 'Download the profile'),
          h('button', { type: 'button', click: () => this.#save(true) }, 'Score images with it here'))),
    ];
    this.append(...this.#steps);
    this.#reach(1);
    this.#folder.addEventListener('nac-folder', (/** @type {CustomEvent} */ event) => { event.stopPropagation(); this.#collect(event.detail.files); });
    this.#outliers.addEventListener('nac-folder', (/** @type {CustomEvent} */ event) => { event.stopPropagation(); this.#collectOutliers(event.detail.files); });
    this.#tuning.measure = (settings, falseAlarm) => this.#open.start('measure', { settings, falseAlarm }).result;
  }

  get #open() {
    return /** @type {Bench} */ (this.#bench ??= new Bench());
  }

  /** @param {File[]} files */
  #picked(files) {
    const all = complete(files);
    if (all.length > 0) this.open(sortOut(all).model ?? all);
  }

  /** @param {File[]} model an ONNX file, and those that came with it */
  async open(model) {
    const [file] = model;
    this.#bench?.close();
    this.#bench = null;
    this.#model = model;
    this.#problem.replaceChildren(h('p', { class: 'hint' }, `Reading ${file.name}…`));
    this.#view.element.replaceChildren();
    this.#reach(1);
    try {
      const inspection = await this.#open.inspect(model);
      if (this.#model !== model) return;
      this.#problem.replaceChildren();
      this.#view.show(file.name, inspection);
      this.#labels = Array.isArray(inspection.model.labels) && inspection.model.labels.length > 0 ? undefined : [];
      this.#classes = inspection.model.outputs?.[0]?.dims?.at(-1);
      if (!inspection.error) this.#reach(2);
      announce(`${file.name}: ${inspection.error ? 'it can’t be run here.' : 'ready for images.'}`);
    } catch (error) {
      const lacks = /** @type {any} */ (error)?.files;
      if (this.#model === model) replace(this.#problem, errorCard(error, { file: file.name, subject: 'onnx', retry: lacks && waitFor(model, lacks) }));
    }
  }

  /** @type {number | undefined} */
  #classes;

  async #bundled() {
    const { model = '' } = document.body.dataset;
    const response = await fetch(locate(model));
    await this.open([new File([await response.blob()], model.split('/').at(-1) ?? 'model.onnx')]);
  }

  /** @param {File[]} files */
  async #collect(files) {
    const pictures = await toPictures(files);
    const fraction = Number(this.#fraction.value) / 100;
    this.#reach(2);
    const done = await this.#run(this.#folder, pictures.length, async (onProgress) => {
      await this.#open.open(this.#model, { layers: this.#view.layers, preprocess: this.#view.preset });
      return this.#open.start('collect', { pictures, fraction }, onProgress);
    });
    if (!done) return;
    this.#counts = done;
    if (this.#labels) this.#labels = classesOf(pictures, this.#classes);
    this.#folder.say(`${done.profile.toLocaleString('en')} images counted, ${done.held.toLocaleString('en')} held out.${done.unread}`);
    const defaults = await this.#open.start('defaults').result;
    const { layers } = await this.#open.start('measure', { settings: defaults, falseAlarm: 0.05 }).result;
    this.#reach(4);
    this.#tuning.open(layers.map((/** @type {any} */ { name }) => name), defaults);
    this.#search.disabled = true;
    announce('The profile is built. Settings can be tried now.');
  }

  /** @param {File[] | null} files null: made of the held-out images */
  async #collectOutliers(files) {
    const pictures = files ? await toPictures(files) : undefined;
    const done = await this.#run(this.#outliers, pictures?.length ?? this.#counts.held, async (onProgress) => this.#open.start('outliers', { pictures }, onProgress));
    if (!done) return;
    this.#outliers.say(`${done.ood.toLocaleString('en')} outliers${files ? ` from ${pathOf(files[0]).split('/')[0]}` : ', made of held-out images'}.${done.unread}`);
    this.#search.disabled = done.ood === 0;
    this.#tuning.refresh();
  }

  /**
   * A job of the bench, with a folder's bar and buttons.
   * @param {import('../intake/folder.js').Folder} folder
   * @param {number} total
   * @param {(onProgress: (progress: import('./bench.js').Progress) => void) => Promise<import('./bench.js').Job>} begin
   * @returns {Promise<any>} the result, and in words how many images could not be read; null where it was cancelled or failed
   */
  async #run(folder, total, begin) {
    let failed = 0;
    /** @type {import('./bench.js').Job | null} */
    let job = null;
    // The buttons work from the first moment on, while the model is still being opened.
    let [cancelled, paused] = [false, false];
    folder.begin(total, { cancel: () => { cancelled = true; job?.cancel(); }, pause: (on) => { paused = on; job?.pause(on); } });
    try {
      job = await begin(({ done, failed: one }) => {
        folder.progress(done);
        if (one) ++failed;
      });
      if (cancelled) job.cancel();
      if (paused) job.pause(true);
      const result = await job.result;
      folder.end('');
      return { ...result, unread: failed > 0 ? ` ${failed} could not be read.` : '' };
    } catch (error) {
      folder.end(/** @type {any} */ (error)?.name === 'AbortError' ? 'Cancelled.' : `That didn’t work: ${/** @type {any} */ (error)?.message}`);
      return null;
    }
  }

  async #runSearch() {
    this.#search.disabled = true;
    const words = this.#search.textContent;
    try {
      const found = await this.#open.start('search', {}, ({ done, total }) => (this.#search.textContent = `Searching: ${done} of ${total}…`)).result;
      this.#tuning.set(found.settings);
      this.#outliers.say(found.defaultsKept
        ? 'On sets that it had not seen, the search did no better than the defaults: they stay.'
        : `Found. On sets that it had not seen, such a search reaches an AUROC of ${(100 * found.aurocUnseen).toFixed(1)}.`);
    } catch (error) {
      this.#outliers.say(/** @type {any} */ (error).message);
    } finally {
      this.#search.textContent = words;
      this.#search.disabled = false;
    }
  }

  /** @param {boolean} use */
  async #save(use) {
    const options = { falseAlarm: this.#tuning.falseAlarm, labels: this.#labels?.length ? this.#labels : undefined, provenance: { command: 'made in a browser', heldOut: this.#counts.held } };
    const bytes = await this.#open.start('save', { settings: this.#tuning.settings, options }).result;
    const name = this.#model[0].name.replace(/\.onnx$/i, '.safetensors');
    const blob = new Blob([bytes], { type: 'application/octet-stream' });
    if (use) emit(this, 'nac-use', { files: [...this.#model, new File([blob], name)] });
    else download(name, blob);
  }

  /** @param {number} last of the steps that can be taken now */
  #reach(last) {
    this.#steps.forEach((one, i) => (one.inert = i >= last));
  }
}

/** @param {string} name @param {Record<string, string>} data @returns {any} */
function element(name, data) {
  const made = document.createElement(name);
  Object.assign(made.dataset, data);
  return made;
}

/** @param {number} number @param {string} title @param {...any} children */
const step = (number, title, ...children) => h('section', { class: 'card step', 'aria-label': title }, h('h2', null, h('span', { class: 'step-number', 'aria-hidden': 'true' }, number), title), children);

/**
 * The folders' names, where there are as many as the model has classes.
 * @param {{ group?: string }[]} pictures
 * @param {number | undefined} classes
 */
function classesOf(pictures, classes) {
  const names = new Set(pictures.map(({ group }) => group));
  return names.size === classes && !names.has(undefined) ? /** @type {string[]} */ ([...names].sort()) : [];
}

customElements.define('nac-workshop', Workshop);
