// @ts-check
/** New object or bad camera? The picture made worse step by step, and the score as it moves. */
import { scoreAxis } from '../charts/axis.js';
import { h } from '../dom.js';
import { download } from '../export.js';
import { encodePng } from '../intake/png.js';
import { Latest } from '../latest.js';
import { shortP } from '../words.js';
import { NEUTRAL } from './degrade.js';

/** @typedef {import('../../wasm/js/result.js').Result} Result */
/** @typedef {import('./degrade.js').Settings} Settings */

/** @type {{ key: keyof Settings, title: string, min: number, max: number, step: number, words: (value: number) => string }[]} */
const SLIDERS = [
  { key: 'blur', title: 'Blur', min: 0, max: 8, step: 0.1, words: (value) => (value === 0 ? 'none' : `${value.toFixed(1)} % of the side`) },
  { key: 'noise', title: 'Noise', min: 0, max: 80, step: 1, words: (value) => (value === 0 ? 'none' : `±${value} levels`) },
  { key: 'brightness', title: 'Brightness', min: -3, max: 3, step: 0.1, words: (value) => (value === 0 ? 'as it is' : `${value > 0 ? '+' : '−'}${Math.abs(value).toFixed(1)} stops`) },
  { key: 'quality', title: 'JPEG quality', min: 1, max: 101, step: 1, words: (value) => (value > 100 ? 'not compressed' : String(value)) },
];

export class Lab {
  #settings = { ...NEUTRAL };
  #canvas = h('canvas', { role: 'img', 'aria-label': 'The picture as changed', width: 1, height: 1 });
  #axis = h('div', { class: 'lab-axis' });
  #words = h('p', { class: 'lead', role: 'status' });
  #note = h('p', { class: 'hint' });
  /** @type {Worker | null} */
  #worker = null;
  #effect = new Latest(() => this.#score(), (message) => (this.#words.textContent = message));
  /** The picture is there. */
  #ready = false;
  /** As it was scored last. @type {{ picture: import('./degrade.js').Picture, jpeg?: Blob } | null} */
  #changed = null;
  /** @type {Map<string, { slider: HTMLInputElement, output: HTMLElement }>} */
  #controls = new Map();
  #about;

  /** @param {{ result: Result, file: File, detector: import('../engine/detector.js').Detector, calibration: Float32Array }} about */
  constructor(about) {
    this.#about = about;
    const controls = SLIDERS.map(({ key, title, min, max, step, words }) => {
      const output = h('output', { class: 'number hint' }, words(NEUTRAL[key]));
      const slider = h('input', { type: 'range', id: `lab-${key}`, min, max, step, value: NEUTRAL[key], 'aria-valuetext': words(NEUTRAL[key]), input: () => this.#set(key, Number(slider.value)) });
      this.#controls.set(key, { slider, output });
      return h('div', { class: 'lab-control' }, h('label', { for: `lab-${key}` }, title), output, slider);
    });
    this.element = h('article', { class: 'card lab' },
      h('h3', null, 'New object or bad camera?'),
      h('p', { class: 'hint' }, 'Make a picture worse and see how far its score moves: where a little blur or noise is enough to cross the threshold, “out” may mean a bad camera instead of a new object.'),
      h('div', { class: 'lab-parts' },
        h('div', { class: 'frame' }, this.#canvas),
        h('div', { class: 'lab-controls' }, controls, h('p', { class: 'row start' },
          h('button', { type: 'button', click: () => this.#reset() }, 'As it was'), h('button', { type: 'button', click: () => this.#save() }, 'Save this picture')))),
      this.#axis, this.#words, this.#note);
    this.#show(about.result);
    // Most visitors look at the verdict and go on: until it comes into view, the lab costs nothing.
    const watch = new IntersectionObserver(([{ isIntersecting }]) => {
      if (!isIntersecting) return;
      watch.disconnect();
      this.#begin();
    });
    watch.observe(this.element);
  }

  close() {
    this.#worker?.terminate();
  }

  /** Shows the picture; nothing is scored until a slider moves. */
  async #begin() {
    const { file, detector } = this.#about;
    const picture = await detector.pixels(file).catch(() => null);
    if (!picture || !this.element.isConnected) return;
    this.#worker = new Worker(new URL('./degrade-worker.js', import.meta.url), { type: 'module' });
    const { factor } = await this.#ask({ picture });
    if (factor > 1) this.#note.textContent = `The sliders work on a copy of 1/${factor} of the size, which can score a little differently itself.`;
    const { bitmap, ...changed } = await this.#ask({ settings: { ...NEUTRAL } });
    this.#changed = changed;
    this.#draw(bitmap);
    this.#ready = true;
    if (SLIDERS.some(({ key }) => this.#settings[key] !== NEUTRAL[key])) this.#effect.changed();
  }

  /** One question at a time. @param {any} message @returns {Promise<any>} */
  #ask(message) {
    return new Promise((resolve) => {
      this.#worker?.addEventListener('message', ({ data }) => resolve(data), { once: true });
      this.#worker?.postMessage(message);
    });
  }

  /** @param {keyof Settings} key @param {number} value */
  #set(key, value) {
    this.#settings[key] = value;
    const words = SLIDERS.find((one) => one.key === key)?.words(value) ?? '';
    const { slider, output } = /** @type {any} */ (this.#controls.get(key));
    output.textContent = words;
    slider.setAttribute('aria-valuetext', words);
    if (this.#ready) this.#effect.changed();
  }

  #reset() {
    for (const { key } of SLIDERS) {
      /** @type {any} */ (this.#controls.get(key)).slider.value = String(NEUTRAL[key]);
      this.#set(key, NEUTRAL[key]);
    }
  }

  async #score() {
    const { picture, jpeg, bitmap } = await this.#ask({ settings: { ...this.#settings } });
    this.#changed = { picture, jpeg };
    this.#draw(bitmap);
    this.#show(await this.#about.detector.score(jpeg ?? picture));
  }

  /** The pixels, or the JPEG, that the score is of. */
  async #save() {
    if (!this.#changed) return;
    const { picture, jpeg } = this.#changed;
    download(`changed.${jpeg ? 'jpg' : 'png'}`, jpeg ?? (await encodePng(picture)));
  }

  /** @param {ImageBitmap} bitmap */
  #draw(bitmap) {
    this.#canvas.width = bitmap.width;
    this.#canvas.height = bitmap.height;
    this.#canvas.classList.toggle('pixelated', Math.max(bitmap.width, bitmap.height) <= 128);
    this.#canvas.getContext('2d').drawImage(bitmap, 0, 0);
    bitmap.close();
  }

  /** @param {Result} now */
  #show(now) {
    const { result: before, calibration } = this.#about;
    const same = now.score === before.score;
    const label = `Score ${now.score.toFixed(3)}, ${before.score.toFixed(3)} as given`;
    this.#axis.replaceChildren(scoreAxis({ calibration, threshold: now.threshold, score: now.score, before: before.score, label }));
    const verdict = (/** @type {Result} */ { verdict: one }) => (one === 'out' ? 'out-of-distribution' : 'in-distribution');
    const turned = now.verdict === before.verdict ? `still ${verdict(now)}` : `now ${verdict(now)}`;
    this.#words.textContent = same
      ? `As given: ${before.score.toFixed(3)}, ${before.label}.`
      : `${before.score.toFixed(3)} → ${now.score.toFixed(3)} (${shortP(now.pValue)}): ${turned}${now.label === before.label ? `, and ${now.label} as before` : `, and ${now.label} instead of ${before.label}`}.`;
  }
}
