// @ts-check
/** Many images: progress while they are scored, then a gallery, the least familiar first. */
import { scoreAxis } from '../charts/axis.js';
import { announce, emit, h, replace } from '../dom.js';
import { download, toCsv, toDocument, toJson } from '../export.js';
import { explainError, percent, shortP } from '../words.js';

/** @typedef {import('../../wasm/js/result.js').Result} Result */
/** @typedef {{ index: number, file: File, result?: Result, error?: any }} Entry */

const PAGE = 120; // tiles in the document at once; more on demand, so that ten thousand images stay light
const REDRAW = 250; // milliseconds between drawings while images come in

export class Gallery extends HTMLElement {
  /** @type {Entry[]} in the order of the files */
  #entries = [];
  /** @type {Map<Entry, string>} */
  #urls = new Map();
  #filter = 'all';
  #shown = PAGE;
  /** @type {AbortController | null} */
  #running = null;
  /** @type {any} */
  #parts = {};

  /** @type {Float32Array} */
  #calibration = new Float32Array(0);

  /**
   * Scores the files and shows them as they come. Resolves when all are done or the visitor has cancelled.
   * @param {File[]} files
   * @param {import('../engine/detector.js').Loaded} loaded
   */
  async run(files, { detector, calibration, name }) {
    this.stop();
    const controller = (this.#running = new AbortController());
    this.#clear();
    this.#calibration = calibration;
    this.#build(files.length, { model: name, variant: detector.info.variant });
    const started = performance.now();
    let drawn = 0;
    const count = () => {
      const done = this.#entries.length;
      const seconds = (performance.now() - started) / 1000;
      const rate = done / Math.max(seconds, 0.001);
      this.#parts.bar.value = done;
      this.#parts.status.textContent = done === files.length || controller.signal.aborted
        ? `${done.toLocaleString('en')} images in ${seconds.toFixed(1)} s (${rate.toFixed(0)} a second)${controller.signal.aborted ? ', cancelled' : ''}`
        : `${done.toLocaleString('en')} of ${files.length.toLocaleString('en')} · ${rate.toFixed(0)} a second · ${Math.ceil((files.length - done) / rate)} s left`;
    };
    try {
      for await (const one of detector.scoreAll(files, { signal: controller.signal })) {
        const index = this.#entries.length;
        const entry = one.error ? { index, file: files[index], error: one.error } : { index, file: files[index], result: /** @type {Result} */ (one) };
        this.#entries.push(entry);
        emit(this, 'nac-scored', entry);
        if (performance.now() - drawn > REDRAW) {
          count();
          this.#draw();
          drawn = performance.now();
        }
      }
    } catch (error) {
      if (!controller.signal.aborted) throw error;
    } finally {
      if (this.#running === controller) {
        this.#running = null;
        count();
        this.#parts.cancel.hidden = true;
        this.#parts.bar.hidden = true;
        this.#draw();
        const out = this.#entries.filter(({ result }) => result?.verdict === 'out').length;
        announce(`${this.#entries.length} images scored, ${out} out-of-distribution.`);
      }
    }
  }

  /** Ends the scoring that is going on, if any; what is scored stays. */
  stop() {
    this.#running?.abort();
  }

  #clear() {
    for (const url of this.#urls.values()) URL.revokeObjectURL(url);
    this.#urls.clear();
    this.#entries = [];
    this.#filter = 'all';
    this.#shown = PAGE;
  }

  /** @param {number} count @param {{ model: string, variant: string }} about */
  #build(count, about) {
    const results = () => this.#entries.flatMap(({ result }) => result ?? []);
    const save = () => download('scores.json', toJson(toDocument(results(), this.#entries.filter(({ error }) => error).map(({ file, error }) => ({ file: file.name, error })), about)));
    const filter = (/** @type {string} */ value, /** @type {string} */ text) =>
      h('label', null, h('input', { type: 'radio', name: 'filter', value, checked: value === 'all', change: () => { this.#filter = value; this.#shown = PAGE; this.#draw(); } }), h('span', null, text, ' ', h('b', { 'data-count': value }, '')));
    this.#parts = {
      status: h('p', { class: 'number' }),
      bar: h('progress', { max: count, value: 0, 'aria-label': 'Scored images' }),
      cancel: h('button', { type: 'button', click: () => this.stop() }, 'Cancel'),
      chart: h('div'),
      tiles: h('ul', { class: 'grid' }),
      more: h('button', { type: 'button', hidden: true, click: () => { this.#shown += PAGE; this.#draw(); } }, 'Show more'),
      filters: h('fieldset', { class: 'segments' }, h('legend', { class: 'visually-hidden' }, 'Which images to show'),
        filter('all', 'All'), filter('out', 'Out'), filter('in', 'In'), filter('error', 'Unreadable')),
    };
    const { status, bar, cancel, chart, tiles, more, filters } = this.#parts;
    replace(this,
      h('article', { class: 'card' },
        h('div', { class: 'row' }, h('h2', null, `${count.toLocaleString('en')} images`), cancel),
        bar, status, chart,
        h('p', { class: 'hint' }, h('span', { class: 'swatch known' }), 'held-out in-distribution images ', h('span', { class: 'swatch batch' }), 'these images (each scaled to its own highest bar)')),
      h('div', { class: 'row toolbar' }, filters,
        h('span', { class: 'row' },
          h('button', { type: 'button', click: () => download('scores.csv', toCsv(results())) }, 'Save CSV'),
          h('button', { type: 'button', click: save }, 'Save JSON'))),
      h('p', { class: 'hint' }, 'Least familiar first. Choose one to see why.'),
      tiles, more);
  }

  #draw() {
    const { chart, tiles, more, filters } = this.#parts;
    const kind = (/** @type {Entry} */ { result, error }) => (error ? 'error' : (result?.verdict ?? 'in'));
    for (const label of filters.querySelectorAll('[data-count]')) {
      const { count } = label.dataset;
      const n = this.#entries.filter((entry) => count === 'all' || kind(entry) === count).length;
      label.textContent = n.toLocaleString('en');
      if (count === 'error') label.closest('label').hidden = n === 0;
    }
    const scored = this.#entries.flatMap(({ result }) => result ?? []);
    if (scored.length > 0) {
      const out = scored.filter(({ verdict }) => verdict === 'out').length;
      chart.replaceChildren(scoreAxis({ calibration: this.#calibration, threshold: scored[0].threshold, batch: scored, label: `Scores of ${scored.length} images, ${out} of them out-of-distribution` }));
    }
    // By p-value; where it is the same (0, mostly) by score; those without either at the end.
    const chosen = this.#entries.filter((entry) => this.#filter === 'all' || kind(entry) === this.#filter)
      .sort((a, b) => rank(a) - rank(b) || (a.result?.score ?? 0) - (b.result?.score ?? 0) || a.index - b.index);
    const focused = /** @type {any} */ (document.activeElement)?.dataset?.index;
    tiles.replaceChildren(...chosen.slice(0, this.#shown).map((entry) => this.#tile(entry)));
    if (focused !== undefined) tiles.querySelector(`[data-index="${focused}"]`)?.focus();
    more.hidden = chosen.length <= this.#shown;
    more.textContent = `Show more of ${(chosen.length - this.#shown).toLocaleString('en')}`;
  }

  /** @param {Entry} entry */
  #tile(entry) {
    const { file, result, error, index } = entry;
    const name = file.name.split('/').at(-1);
    const words = error ? explainError(error).title : `${result?.verdict === 'out' ? 'out-of-distribution' : 'in-distribution'}, ${shortP(result?.pValue)}`;
    const url = this.#urls.get(entry) ?? URL.createObjectURL(file);
    this.#urls.set(entry, url);
    const image = error ? h('span', { class: 'no-image', 'aria-hidden': 'true' }, '?') : h('img', { src: url, alt: '', loading: 'lazy', decoding: 'async' });
    image.addEventListener('load', () => image.classList.toggle('pixelated', image.naturalWidth <= 64));
    return h('li', null,
      h('button', { type: 'button', class: 'tile', 'data-index': index, 'data-verdict': error ? 'error' : (result?.verdict ?? 'none'), title: file.name, 'aria-label': `${name}: ${words}`, click: () => emit(this, 'nac-open', entry) },
        image,
        h('span', { class: 'tile-name' }, name),
        h('span', { class: 'tile-verdict number' }, error ? 'unreadable' : shortP(result?.pValue)),
        result && h('span', { class: 'hint' }, `${result.label} ${percent(result.probability)}`)));
  }
}

/** @param {Entry} entry */
const rank = ({ result }) => (result ? (result.pValue ?? result.score) : 2);

customElements.define('nac-gallery', Gallery);
