// @ts-check
/** Settings of every layer, with their effect as they move: on states that are kept, so that no network runs. */
import { compareHistogram } from '../charts/compare.js';
import { emit, h, replace } from '../dom.js';
import { Latest } from '../latest.js';
import { percent } from '../words.js';

/** @typedef {import('../../wasm/js/workbench.js').Settings} Settings */

const BINS = [50, 100, 200, 500, 1000];
// Of alpha and O around their defaults: so many decades to each side, in so many steps.
const DECADES = 2;
const STEPS = 80;

export class Tuning extends HTMLElement {
  /** @type {Settings} */
  #defaults = { alpha: [], bins: [], fill: [] };
  /** Of all layers, those that are not in use too. @type {Settings} */
  #all = { alpha: [], bins: [], fill: [] };
  /** @type {Set<number>} */
  #used = new Set();
  /** @type {string[]} */
  #layers = [];
  falseAlarm = 0.05;
  #rows = h('tbody');
  #chart = h('div', { class: 'compare-place' });
  #figures = h('p', { class: 'lead number figures', role: 'status' });
  #effect = new Latest(async () => this.#show(await this.measure(this.settings, this.falseAlarm)), (message) => (this.#figures.textContent = message));
  /** @type {(settings: Settings, falseAlarm: number) => Promise<any>} */
  measure = async () => null;
  #alarm = h('input', { type: 'range', id: 'alarm', min: 1, max: 20, value: 5, input: () => { this.falseAlarm = Number(this.#alarm.value) / 100; this.#moved(); } });
  #alarmWords = h('output', { class: 'number', for: 'alarm' }, '5 %');

  connectedCallback() {
    if (this.childElementCount > 0) return;
    this.append(
      h('div', { class: 'tuning-chart' }, this.#figures, this.#chart,
        h('p', { class: 'hint' }, 'Above: held-out in-distribution images. Below: outliers. Each to its own highest bar; dashed: the threshold.')),
      h('p', { class: 'row start' }, h('label', { for: 'alarm' }, 'False alarms promised'), this.#alarm, this.#alarmWords),
      h('div', { class: 'scroll' }, h('table', { class: 'settings' },
        h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Layer'), h('th', { scope: 'col' }, 'alpha: steepness'), h('th', { scope: 'col' }, 'M: bins'), h('th', { scope: 'col' }, 'O: images that fill a bin'))), this.#rows)),
      h('p', { class: 'row start' }, h('button', { type: 'button', click: () => this.set(this.#defaults) }, 'Back to the defaults')));
  }

  /** @param {string[]} layers @param {Settings} defaults */
  open(layers, defaults) {
    this.#defaults = defaults;
    this.#layers = layers;
    this.set(defaults);
  }

  /** Of the layers in use. @returns {Settings} */
  get settings() {
    const layers = [...this.#used].sort((a, b) => a - b);
    const of = (/** @type {'alpha' | 'bins' | 'fill'} */ key) => layers.map((layer) => this.#all[key][layer]);
    return { layers, alpha: of('alpha'), bins: of('bins'), fill: of('fill') };
  }

  /** @param {Settings} settings of its layers; the others are out of use, at their defaults */
  set(settings) {
    const layers = settings.layers ?? this.#layers.map((_, layer) => layer);
    this.#used = new Set(layers);
    this.#all = structuredClone(this.#defaults);
    for (const key of /** @type {const} */ (['alpha', 'bins', 'fill'])) layers.forEach((layer, i) => (this.#all[key][layer] = settings[key][i]));
    replace(this.#rows, this.#layers.map((name, layer) => h('tr', { class: this.#used.has(layer) ? '' : 'unused' },
      h('th', { scope: 'row' }, h('label', null, h('input', { type: 'checkbox', checked: this.#used.has(layer), change: (/** @type {any} */ { target }) => this.#use(layer, target) }), ' ', name)),
      h('td', null, this.#slider(`alpha of ${name}`, 'alpha', layer, (value) => Number(value.toPrecision(2)))),
      h('td', null, h('select', { 'aria-label': `M of ${name}`, change: (/** @type {any} */ { target }) => { this.#all.bins[layer] = Number(target.value); this.#moved(); } },
        [...new Set([...BINS, this.#all.bins[layer]])].sort((a, b) => a - b).map((value) => h('option', { value, selected: value === this.#all.bins[layer] }, value)))),
      h('td', null, this.#slider(`O of ${name}`, 'fill', layer, (value) => Math.max(1, Math.round(value)))))));
    this.#moved();
  }

  /** @param {number} layer @param {HTMLInputElement} box */
  #use(layer, box) {
    // One layer at least: a score is a mean.
    if (box.checked) this.#used.add(layer);
    else if (this.#used.size > 1) this.#used.delete(layer);
    box.checked = this.#used.has(layer);
    box.closest('tr')?.classList.toggle('unused', !box.checked);
    this.#moved();
  }

  /** The setting has moved, or the images have. */
  refresh() {
    this.#moved();
  }

  /**
   * A slider over decades around the default.
   * @param {string} label
   * @param {'alpha' | 'fill'} key
   * @param {number} layer
   * @param {(value: number) => number} round
   */
  #slider(label, key, layer, round) {
    const base = this.#defaults[key][layer];
    const words = h('output', { class: 'number' }, String(this.#all[key][layer]));
    const place = Math.round((Math.log10(this.#all[key][layer] / base) / DECADES) * (STEPS / 2));
    const slider = h('input', { type: 'range', min: -STEPS / 2, max: STEPS / 2, value: place, 'aria-label': label, 'aria-valuetext': words.textContent, input: () => {
      const value = round(base * 10 ** ((DECADES * Number(slider.value)) / (STEPS / 2)));
      this.#all[key][layer] = value;
      words.textContent = String(value);
      slider.setAttribute('aria-valuetext', String(value));
      this.#moved();
    } });
    return h('div', { class: 'slider' }, slider, words);
  }

  #moved() {
    this.#alarmWords.textContent = percent(this.falseAlarm);
    this.#effect.changed();
  }

  /** @param {any} measured */
  #show(measured) {
    if (!measured) return;
    const { id, ood, threshold, metrics, energy } = measured;
    const caught = (/** @type {Float32Array} */ scores) => scores.reduce((count, score) => count + (score < threshold ? 1 : 0), 0) / scores.length;
    const parts = [];
    if (metrics) parts.push(`AUROC ${(100 * metrics.auroc).toFixed(1)} (energy ${(100 * energy.auroc).toFixed(1)})`, `FPR95 ${(100 * metrics.fpr95).toFixed(1)}`);
    // With too few held-out images no score is rare enough: the threshold is 0, and nothing is ever flagged.
    if (threshold === 0) parts.push(`too few held-out images for a threshold at ${percent(this.falseAlarm)}: ${2 * (Math.ceil(1 / this.falseAlarm) - 1)} are needed`);
    else if (threshold !== null && id.length > 0) parts.push(`flags ${percent(caught(id))} of familiar images${ood.length > 0 ? ` and ${percent(caught(ood))} of outliers` : ''}`);
    this.#figures.textContent = parts.join(' · ') || 'No held-out image to measure with.';
    this.#chart.replaceChildren(compareHistogram({ id, ood, threshold: threshold || null, label: this.#figures.textContent ?? '' }));
    emit(this, 'nac-measured', measured);
  }
}

customElements.define('nac-tuning', Tuning);
