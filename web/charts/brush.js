// @ts-check
/** A window on the axis of a chart: two native sliders over it, so that mouse, touch and keyboard all work. */
import { h } from '../dom.js';

const STEPS = 400;

export class Brush {
  #from = 0;
  #to = 1;
  #low;
  #high;
  #chart = h('div', { class: 'brush-chart' });
  #shades = [h('span', { class: 'shade' }), h('span', { class: 'shade' })];
  #words = h('span', { class: 'hint number' });
  #onChange;

  /** @param {(window: [number, number] | null) => void} onChange null: everything */
  constructor(onChange) {
    this.#onChange = onChange;
    const slider = (/** @type {string} */ label, /** @type {number} */ value) =>
      h('input', { type: 'range', min: 0, max: STEPS, value, 'aria-label': label, input: () => this.#moved() });
    this.#low = slider('Lowest score to show', 0);
    this.#high = slider('Highest score to show', STEPS);
    this.element = h('div', { class: 'brush' }, this.#chart,
      h('div', { class: 'brush-handles' }, this.#shades, this.#low, this.#high), this.#words);
    this.#moved();
  }

  /** The chart anew, over the same part of its axis or another. @param {SVGSVGElement} svg @param {number} from @param {number} to */
  draw(svg, from, to) {
    this.#chart.replaceChildren(svg);
    if (from === this.#from && to === this.#to) return;
    const old = this.window;
    [this.#from, this.#to] = [from, to];
    if (old) {
      const place = (/** @type {number} */ value) => String(Math.round(((value - from) / (to - from)) * STEPS));
      [this.#low.value, this.#high.value] = [place(old[0]), place(old[1])];
    }
    this.#moved();
  }

  /** @returns {[number, number] | null} */
  get window() {
    const [low, high] = [Number(this.#low.value), Number(this.#high.value)].sort((a, b) => a - b);
    if (low === 0 && high === STEPS) return null;
    const value = (/** @type {number} */ step) => this.#from + (step / STEPS) * (this.#to - this.#from);
    return [value(low), value(high)];
  }

  #moved() {
    const [low, high] = [Number(this.#low.value), Number(this.#high.value)].sort((a, b) => a - b);
    this.#shades[0].style.width = `${(100 * low) / STEPS}%`;
    this.#shades[1].style.width = `${100 - (100 * high) / STEPS}%`;
    const window = this.window;
    this.#words.textContent = window ? `Only scores from ${window[0].toFixed(3)} to ${window[1].toFixed(3)}` : 'Drag the ends to look at a part of the scores.';
    for (const slider of [this.#low, this.#high]) slider.setAttribute('aria-valuetext', (this.#from + (Number(slider.value) / STEPS) * (this.#to - this.#from)).toFixed(3));
    this.#onChange(window);
  }
}
