// @ts-check
/** What the element shows, in its shadow: a drop zone, progress, one result or error, and thumbnails where there are several. */
import { scoreAxis } from '../charts/axis.js';
import { drawHeatMap } from '../charts/heatmap.js';
import { h, replace, s } from '../dom.js';
import { Downloads } from '../downloads.js';
import { disagreement, explainError, megabytes, percent, shortP, spokenVerdict, verdictSentence, verdictTitle } from '../words.js';
import { styles } from './styles.js';

/** @typedef {import('../../wasm/js/result.js').Result} Result */
/** @typedef {{ name: string, blob: Blob | null, result?: Result, error?: any }} Shown an image, and what became of it */

const THUMBS = 200; // more than that are a gallery, and a page's business

export class View {
  #live = h('div', { class: 'hidden', role: 'status', 'aria-live': 'polite', 'aria-atomic': 'true' });
  #fill = h('span');
  #progress = h('div', { class: 'progress', part: 'progress', hidden: true, role: 'progressbar', 'aria-label': 'Loading the model' }, this.#fill);
  #hint = h('p', { class: 'hint', part: 'hint' });
  #outcome = h('div', { class: 'outcome', part: 'result', hidden: true });
  #thumbs = h('ul', { class: 'thumbs', part: 'thumbs', hidden: true });
  #url = '';
  /** @type {string[]} of the thumbnails */
  #urls = [];
  /** Of the heat map; stays from image to image. "": the picture. */
  #layer = '';
  #downloads = new Downloads();
  #choose;
  #open;

  /**
   * @param {ShadowRoot} root
   * @param {{ choose: () => void, open: (index: number) => void }} actions
   */
  constructor(root, { choose, open }) {
    this.#choose = choose;
    this.#open = open;
    this.drop = h('div', { class: 'drop', part: 'drop', click: choose }, // also the button's
      glyph(),
      h('div', { class: 'prompt', part: 'prompt' }, h('slot', { name: 'prompt' }, 'Drop an image here')),
      h('button', { type: 'button', part: 'button' }, h('slot', { name: 'button' }, 'Choose an image')),
      this.#hint);
    this.card = h('div', { class: 'card', part: 'card' }, this.#progress, this.drop, this.#outcome, this.#thumbs, this.#live);
    root.adoptedStyleSheets = [styles()];
    root.append(this.card);
  }

  /** @param {boolean} on */
  set disabled(on) {
    for (const button of this.card.querySelectorAll('button[part=button]')) button.disabled = on;
  }

  /** Of the engine. @param {{ stage: string, loaded: number, total: number | null }} progress */
  loading(progress) {
    this.#downloads.add(progress);
    const { loaded, total, complete } = this.#downloads;
    this.#hint.textContent = complete ? 'Starting…' : `Loading the model: ${megabytes(loaded)}`;
    this.busy(total === null || complete ? 0 : loaded / total);
  }

  /** @param {string} text under the button */
  ready(text) {
    this.#downloads.clear();
    this.#hint.textContent = text;
    this.busy(null);
  }

  /** @param {number | null} fraction null: nothing is under way; 0: nobody knows how much is left */
  busy(fraction) {
    this.#progress.hidden = fraction === null;
    this.#progress.classList.toggle('endless', fraction === 0);
    this.#fill.style.width = fraction ? `${100 * fraction}%` : '';
    if (fraction) this.#progress.setAttribute('aria-valuenow', String(Math.round(100 * fraction)));
    else this.#progress.removeAttribute('aria-valuenow');
    if (fraction === null) this.card.removeAttribute('aria-busy');
    else this.card.setAttribute('aria-busy', 'true');
  }

  /** Back to the drop zone. */
  clear() {
    URL.revokeObjectURL(this.#url);
    for (const url of this.#urls.splice(0)) URL.revokeObjectURL(url);
    this.#thumbs.replaceChildren();
    this.#thumbs.hidden = this.#outcome.hidden = true;
    this.#outcome.replaceChildren();
    this.drop.hidden = false;
    this.#live.textContent = '';
    delete this.card.dataset.verdict;
  }

  /** @param {Shown} shown @param {Float32Array | undefined} calibration */
  show(shown, calibration) {
    const { name, result, error } = shown;
    this.drop.hidden = true;
    this.#outcome.hidden = false;
    URL.revokeObjectURL(this.#url);
    this.#url = shown.blob ? URL.createObjectURL(shown.blob) : '';
    this.card.dataset.verdict = error ? 'error' : (result?.verdict ?? 'none');
    if (result) this.#showResult(name, result, calibration);
    else this.#showError(name, error);
  }

  /** @param {string} name @param {Result} result @param {Float32Array | undefined} calibration */
  #showResult(name, result, calibration) {
    const { verdict, score, threshold, pValue, label, probability } = result;
    const flag = disagreement(result);
    replace(this.#outcome,
      this.#picture(name, result),
      h('div', { class: 'words' },
        name && h('p', { class: 'file', part: 'file' }, name),
        h('p', { class: 'verdict', part: `verdict ${verdict ?? 'none'}` },
          h('span', { class: 'mark', part: 'mark', 'aria-hidden': 'true' }, verdict === null ? '–' : verdict === 'out' ? '!' : '✓'), verdictTitle(result)),
        h('p', { class: 'sentence', part: 'sentence' }, verdictSentence(result)),
        h('dl', { class: 'facts', part: 'facts' },
          fact('Score', score.toFixed(3)), fact('p-value', shortP(pValue).replace(/^p /, '')), fact('Network says', `${label}, ${percent(probability).replaceAll(' ', '\u00a0')}`)),
        flag && h('p', { class: 'flag', part: 'flag' }, flag)),
      calibration?.length && h('div', { class: 'wide', part: 'axis' }, scoreAxis({
        calibration, threshold, score,
        label: `Score ${score.toFixed(3)} among those of ${calibration.length} in-distribution images${threshold === null ? '' : `; threshold ${threshold.toFixed(3)}`}`,
      })),
      this.#actions());
    this.#live.textContent = spokenVerdict(result, name || 'Image');
  }

  /** The engine could not be had. @param {any} error */
  fail(error) {
    this.clear();
    this.drop.hidden = true;
    this.#outcome.hidden = false;
    this.card.dataset.verdict = 'error';
    this.#showError('', error, 'model');
  }

  /** @param {string} name @param {any} error @param {'image' | 'model'} [subject] */
  #showError(name, error, subject) {
    const { title, text, hint } = explainError(error, subject);
    replace(this.#outcome,
      h('div', { class: 'words wide' },
        name && h('p', { class: 'file', part: 'file' }, name),
        h('p', { class: 'verdict', part: 'verdict error' }, title),
        h('p', null, hint),
        h('p', { class: 'hint' }, text)),
      this.#actions());
    this.#live.textContent = `${name} ${title}`;
  }

  #actions() {
    return h('div', { class: 'actions wide' }, h('button', { type: 'button', part: 'button', click: this.#choose }, 'Choose another'));
  }

  /** The image as given, and the network's view of it under a layer's heat map. @param {string} name @param {Result} result */
  #picture(name, { explanation }) {
    const given = h('img', { src: this.#url || null, alt: name || 'The image' });
    given.addEventListener('load', () => given.classList.toggle('pixelated', Math.max(given.naturalWidth, given.naturalHeight) <= 128));
    const canvas = h('canvas', { role: 'img' });
    const maps = explanation?.layers.filter(({ map }) => map) ?? [];
    const draw = () => {
      const layer = maps.find((one) => one.name === this.#layer);
      given.hidden = Boolean(layer) || !this.#url;
      canvas.hidden = !given.hidden;
      canvas.setAttribute('aria-label', layer ? `${name}: where uncovered activation of ${layer.name} sits` : name);
      if (explanation && !canvas.hidden) drawHeatMap(canvas, explanation.view, layer?.map ?? null);
    };
    draw();
    const choice = (/** @type {string} */ text, /** @type {string} */ layer) =>
      h('label', { title: layer || null },
        h('input', { type: 'radio', name: 'view', checked: layer === this.#layer || (layer === '' && !maps.some((one) => one.name === this.#layer)), change: () => { this.#layer = layer; draw(); } }),
        h('span', null, text));
    return h('figure', { class: 'picture', part: 'picture' },
      h('div', { class: 'frame' }, given, canvas),
      maps.length > 0 && h('fieldset', { class: 'views', part: 'views' }, h('legend', { class: 'hidden' }, 'Show the picture or a layer’s heat map'),
        choice('Picture', ''), maps.map((one, i) => choice(`Layer ${maps.length - i}`, one.name)).reverse()));
  }

  /** @param {Shown} shown @param {number} index */
  addThumb({ name, blob, result, error }, index) {
    this.#thumbs.hidden = false;
    if (index >= THUMBS) return;
    const url = blob ? URL.createObjectURL(blob) : '';
    if (url) this.#urls.push(url);
    const image = h('img', { src: url || null, alt: '' });
    image.addEventListener('error', () => image.remove());
    const verdict = result ? verdictTitle(result) : explainError(error).title;
    this.#thumbs.append(h('li', null, h('button', {
      type: 'button', class: 'thumb', part: 'thumb', 'aria-pressed': 'false', 'aria-label': `${name}: ${verdict}`, title: `${name}: ${verdict}`,
      'data-verdict': error ? 'error' : (result?.verdict ?? 'none'), click: () => this.#open(index),
    }, image)));
  }

  /** Which thumbnail's result is shown. @param {number} index */
  select(index) {
    this.#thumbs.querySelectorAll('.thumb').forEach((/** @type {Element} */ thumb, /** @type {number} */ i) => thumb.setAttribute('aria-pressed', String(i === index)));
  }
}

/** @param {string} name @param {string} value */
const fact = (name, value) => h('div', null, h('dt', null, name), h('dd', null, value));

/** A picture with an arrow into it. */
const glyph = () => s('svg', { class: 'glyph', viewBox: '0 0 48 48', fill: 'none', stroke: 'currentColor', 'stroke-width': 2.5, 'stroke-linecap': 'round', 'stroke-linejoin': 'round', 'aria-hidden': 'true' },
  s('path', { d: 'M16 8H11a5 5 0 0 0-5 5v24a5 5 0 0 0 5 5h26a5 5 0 0 0 5-5V13a5 5 0 0 0-5-5h-5' }),
  s('path', { d: 'm6 35 10-10 8 8 6-6 12 11M24 4v16m0 0-6-6m6 6 6-6' }));
