// @ts-check
/** What the engine is doing: downloading, compiling, ready. */
import { emit, h } from '../dom.js';
import { megabytes } from '../words.js';

const STAGES = /** @type {const} */ (['wasm', 'model', 'profile']);

export class EngineState extends HTMLElement {
  /** @type {Record<string, { loaded: number, total: number | null }>} */
  #seen = {};

  connectedCallback() {
    this.#show('Starting', 0);
  }

  /** @param {{ stage: string, loaded: number, total: number | null }} progress */
  progress({ stage, loaded, total }) {
    this.#seen[stage] = { loaded, total };
    const known = STAGES.map((name) => this.#seen[name]).filter(Boolean);
    const sum = known.reduce((bytes, one) => bytes + one.loaded, 0);
    const all = known.reduce((bytes, one) => bytes + (one.total ?? one.loaded), 0);
    const done = known.length === STAGES.length && sum >= all;
    this.#show(done ? 'Compiling' : `Downloading ${megabytes(sum)} of ${megabytes(all)}`, all > 0 ? sum / all : 0);
  }

  /** @param {import('./detector.js').Loaded} loaded @param {number | null} milliseconds null where it was ready before */
  ready({ detector: { info }, name, source }, milliseconds) {
    this.#seen = {};
    this.dataset.state = 'ready';
    const layers = info.profile.layers.length;
    const own = !(source.model instanceof URL && source.profile instanceof URL);
    this.replaceChildren(
      h('p', { class: 'engine-name' }, h('span', { class: 'dot', 'aria-hidden': 'true' }), name),
      h('p', { class: 'hint' }, `${milliseconds === null ? 'ready' : `ready in ${(milliseconds / 1000).toFixed(1)} s`} · ${layers} ${layers === 1 ? 'layer' : 'layers'} tapped · profile of ${info.profile.images.toLocaleString('en')} images · WebAssembly ${info.variant === 'relaxed' ? 'relaxed SIMD' : 'SIMD'}`,
        own && [' · ', h('button', { type: 'button', class: 'link', click: () => emit(this, 'nac-bundled') }, 'back to the bundled one')]),
    );
  }

  failed() {
    this.dataset.state = 'failed';
    this.replaceChildren(h('p', { class: 'engine-name' }, h('span', { class: 'dot', 'aria-hidden': 'true' }), 'Not running'));
  }

  /** @param {string} text @param {number} fraction */
  #show(text, fraction) {
    this.dataset.state = 'loading';
    this.replaceChildren(
      h('p', { class: 'engine-name' }, h('span', { class: 'dot', 'aria-hidden': 'true' }), text),
      h('progress', { max: 1, value: fraction, 'aria-label': 'Loading the model' }),
    );
  }
}

customElements.define('nac-engine-state', EngineState);
