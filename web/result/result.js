// @ts-check
/** One image: verdict, place among the familiar ones, and why. Shows errors in the same place. */
import { h, replace } from '../dom.js';
import { download, saveCanvas, saveChart, toCsv, toHistogramCsv, toJson, toNeuronCsv } from '../export.js';
import { Lab } from '../lab/lab.js';
import { errorCard } from './error.js';
import { layers } from './layers.js';
import { neurons } from './neurons.js';
import { opinions, predictions } from './opinions.js';
import { picture } from './picture.js';
import { times } from './times.js';
import { verdict } from './verdict.js';

/** @typedef {import('../../wasm/js/result.js').Result} Result */

export class ResultView extends HTMLElement {
  #url = '';
  /** What the heat map shows. */
  #view = { layer: -1 };
  /** @type {Lab | null} */
  #lab = null;

  /**
   * @param {Result} result with explanation
   * @param {{ file: File, detector: import('../engine/detector.js').Detector, calibration: Float32Array, back?: () => void }} about
   */
  show(result, { file, detector, calibration, back }) {
    URL.revokeObjectURL(this.#url);
    this.#url = URL.createObjectURL(file);
    this.#lab?.close();
    this.#lab = new Lab({ result, file, detector, calibration });
    this.dataset.verdict = result.verdict ?? 'none';
    replace(this,
      back && backButton(back),
      h('article', { class: 'card verdict-card' }, picture(result, this.#url, this.#view), verdict(result, file.name, calibration)),
      h('div', { class: 'pair' }, opinions(result), predictions(result)),
      layers(result),
      neurons(result, detector),
      this.#lab.element,
      times(result),
      this.#exports(result, file, detector));
  }

  /** @param {any} error @param {{ file?: string, subject?: import('../words.js').Subject, retry?: { text: string, act: () => void }, back?: () => void }} [about] */
  showError(error, { back, ...about } = {}) {
    this.#lab?.close();
    this.dataset.verdict = 'error';
    replace(this, back && backButton(back), errorCard(error, about));
  }

  /** @param {string} name */
  showBusy(name) {
    // What is there stays: a flash of nothing on each click would be a layout jump.
    this.setAttribute('aria-busy', 'true');
    if (this.childElementCount === 0) this.append(h('article', { class: 'card placeholder' }, h('p', { class: 'hint' }, name)));
  }

  /** @param {Result} result @param {File} file @param {import('../engine/detector.js').Detector} detector */
  #exports(result, file, detector) {
    const stem = file.name.split('/').at(-1)?.replace(/\.\w+$/, '') ?? 'image';
    const button = (/** @type {string} */ text, /** @type {() => void} */ act) => h('button', { type: 'button', click: act }, text);
    const seen = () => /** @type {HTMLCanvasElement} */ (this.querySelector('.frame canvas'));
    return h('section', { class: 'exports', 'aria-label': 'Save what is shown' },
      h('h3', null, 'Take it with you'),
      h('div', { class: 'row start' },
        button('Result (JSON)', () => download(`${stem}.nac.json`, toJson(result))),
        button('Result (CSV)', () => download(`${stem}.nac.csv`, toCsv([result]))),
        button('Neurons (CSV)', () => download(`${stem}.neurons.csv`, toNeuronCsv(result))),
        button('Histograms (CSV)', async () => download(`${stem}.histograms.csv`, await toHistogramCsv(result, detector))),
        button('Picture (PNG)', () => saveCanvas(`${stem}.${this.#view.layer < 0 ? 'seen' : result.layers[this.#view.layer].name}.png`, seen())),
        button('Score chart (PNG)', () => saveChart(`${stem}.score.png`, /** @type {SVGSVGElement} */ (this.querySelector('.axis-figure svg'))))));
  }
}

/** @param {() => void} back */
const backButton = (back) => h('button', { type: 'button', class: 'quiet back', click: back }, '← All images');

customElements.define('nac-result', ResultView);
