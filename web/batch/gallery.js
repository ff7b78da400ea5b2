// @ts-check
/** Many images: progress while they are scored, then a gallery, the least familiar first. */
import { AXIS_INSET, axisRange, scoreAxis } from '../charts/axis.js';
import { Brush } from '../charts/brush.js';
import { announce, emit, h, replace } from '../dom.js';
import { download, saveChart, toCsv, toDocument, toJson } from '../export.js';
import { toImage } from '../intake/pictures.js';
import { Pace } from '../pace.js';
import { Filters, isSplit } from './filters.js';
import './grid.js';

/** @typedef {import('../../wasm/js/result.js').Result} Result */
/** @typedef {import('../intake/pictures.js').Picture} Picture */
/** @typedef {{ index: number, picture: Picture, result?: Result, error?: any, split: boolean }} Entry */

const REDRAW = 250; // milliseconds between drawings while images come in

export class Gallery extends HTMLElement {
  /** @type {Entry[]} in the order of the pictures */
  #entries = [];
  /** @type {AbortController | null} */
  #running = null;
  /** @type {any} */
  #parts = {};
  /** @type {Float32Array} */
  #calibration = new Float32Array(0);
  #redraw = 0;

  /**
   * Scores the pictures and shows them as they come. Resolves when all are done or the visitor has cancelled.
   * @param {Picture[]} pictures
   * @param {import('../engine/detector.js').Loaded} loaded
   */
  async run(pictures, { detector, calibration, name }) {
    this.stop();
    const controller = (this.#running = new AbortController());
    this.#entries = [];
    this.#calibration = calibration;
    this.#build(pictures.length, { model: name, variant: detector.info.variant });
    this.#parts.grid.decode = (/** @type {Uint8Array} */ bytes) => detector.decode(bytes);
    const pace = new Pace(pictures.length);
    const status = () => {
      this.#parts.bar.value = this.#entries.length;
      this.#parts.status.textContent = pace.words(this.#entries.length, controller.signal.aborted);
    };
    let drawn = 0;
    try {
      for await (const one of detector.scoreAll(pictures.map(nameless), { signal: controller.signal })) {
        const index = this.#entries.length;
        const picture = pictures[index];
        one.file = picture.name;
        /** @type {Entry} */
        const entry = one.error ? { index, picture, error: one.error, split: false } : { index, picture, result: one, split: isSplit(one) };
        this.#entries.push(entry);
        emit(this, 'nac-scored', entry);
        if (performance.now() - drawn > REDRAW) {
          status();
          this.#draw();
          drawn = performance.now();
        }
      }
    } catch (error) {
      if (!controller.signal.aborted) throw error;
    } finally {
      if (this.#running === controller) {
        this.#running = null;
        status();
        this.#parts.cancel.hidden = true;
        this.#parts.bar.classList.add('done');
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

  /** @param {number} index of an entry that was opened */
  focusOn(index) {
    this.#parts.grid?.focusOn(this.#entries[index]);
  }

  /** @param {number} count @param {{ model: string, variant: string }} about */
  #build(count, about) {
    this.#parts.grid?.clear();
    const chosen = () => this.#chosen().flatMap(({ result }) => result ?? []);
    const failed = () => this.#chosen().filter(({ error }) => error).map(({ picture, error }) => ({ file: picture.name, error }));
    const button = (/** @type {string} */ text, /** @type {() => void} */ act) => h('button', { type: 'button', click: act }, text);
    const filters = new Filters(() => this.#changed());
    const brush = new Brush((window) => {
      filters.window = window;
      this.#changed();
    });
    const parts = (this.#parts = {
      filters, brush,
      status: h('p', { class: 'number status' }),
      bar: h('progress', { max: count, value: 0, 'aria-label': 'Scored images' }),
      cancel: button('Cancel', () => this.stop()),
      grid: document.createElement('nac-grid'),
    });
    replace(this,
      h('article', { class: 'card' },
        h('div', { class: 'row' }, h('h2', null, `${count.toLocaleString('en')} images`), parts.cancel),
        parts.status, parts.bar, brush.element,
        h('p', { class: 'hint' }, h('span', { class: 'swatch known' }), 'held-out in-distribution images ', h('span', { class: 'swatch batch' }), 'these images (each scaled to its own highest bar)')),
      h('div', { class: 'row toolbar' }, filters.element,
        h('span', { class: 'row' },
          button('Save CSV', () => download('scores.csv', toCsv(chosen()))),
          button('Save JSON', () => download('scores.json', toJson(toDocument(chosen(), failed(), about)))),
          button('Save chart', () => saveChart('scores.png', /** @type {any} */ (brush.element.querySelector('svg')))))),
      h('p', { class: 'hint' }, 'Least familiar first. Choose one to see why. What is saved is what the filters show.'),
      parts.grid);
  }

  /** What the filters let through, in the order of the pictures. */
  #chosen() {
    return this.#entries.filter((entry) => this.#parts.filters.wants(entry));
  }

  /** A filter has moved: once a frame is enough. */
  #changed() {
    this.#parts.grid?.first();
    cancelAnimationFrame(this.#redraw);
    this.#redraw = requestAnimationFrame(() => this.#drawGrid());
  }

  #draw() {
    const { brush, filters } = this.#parts;
    filters.count(this.#entries);
    const scored = this.#entries.flatMap(({ result }) => result ?? []);
    if (scored.length > 0) {
      const out = scored.filter(({ verdict }) => verdict === 'out').length;
      const what = { calibration: this.#calibration, threshold: scored[0].threshold, batch: scored.map(({ score }) => score) };
      const [from, to] = axisRange(what);
      brush.draw(scoreAxis({ ...what, label: `Scores of ${scored.length} images, ${out} of them out-of-distribution` }), from, to);
      brush.element.style.setProperty('--inset', `${AXIS_INSET}%`);
    }
    this.#drawGrid();
  }

  #drawGrid() {
    // By p-value; where it is the same (the least, mostly) by score; those without either at the end.
    this.#parts.grid.show(this.#chosen().sort((a, b) => rank(a) - rank(b) || (a.result?.score ?? 0) - (b.result?.score ?? 0) || a.index - b.index));
  }
}

/** By its name the package would cut a sheet to tiles; that has been done. @param {Picture} picture */
const nameless = (picture) => ({ ...toImage(picture), name: '' });

/** @param {Entry} entry */
const rank = ({ result }) => (result ? (result.pValue ?? result.score) : 2);

customElements.define('nac-gallery', Gallery);
