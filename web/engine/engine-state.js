// @ts-check
/** What the engine is doing: downloading, compiling, ready. */
import { emit, h } from '../dom.js';
import { Downloads } from '../downloads.js';
import { megabytes } from '../words.js';

export class EngineState extends HTMLElement {
  #downloads = new Downloads();
  #words = h('span', null, 'Starting');
  #bar = h('progress', { max: 1, 'aria-label': 'Loading the model' });

  connectedCallback() {
    this.#show('loading', this.#words, this.#bar);
  }

  /** @param {import('../../wasm/js/detector.js').Progress} progress */
  progress(progress) {
    if (this.dataset.state !== 'loading') this.#show('loading', this.#words, this.#bar);
    const downloads = this.#downloads;
    downloads.add(progress);
    const { loaded, total, complete } = downloads;
    this.#words.textContent = complete ? `${megabytes(loaded)} are here: starting` : `Downloading ${total === null ? megabytes(loaded) : `${(loaded / 1e6).toFixed(1)} of ${megabytes(total)}`}`;
    // Without a value the bar says that nobody knows how much is left.
    if (total === null || complete) this.#bar.removeAttribute('value');
    else this.#bar.value = loaded / total;
  }

  /** @param {import('./detector.js').Loaded} loaded @param {number | null} milliseconds null where it was ready before */
  ready({ detector: { info }, name, source, warning }, milliseconds) {
    this.#downloads.clear();
    const layers = info.profile.layers.length;
    const own = !(source.model instanceof URL && source.profile instanceof URL);
    this.#show('ready', name,
      h('p', { class: 'hint' }, `${milliseconds === null ? 'ready' : `ready in ${(milliseconds / 1000).toFixed(1)} s`} · ${layers} ${layers === 1 ? 'layer' : 'layers'} tapped · profile of ${info.profile.images.toLocaleString('en')} images · WebAssembly ${info.variant === 'relaxed' ? 'relaxed SIMD' : 'SIMD'}`,
        own && [' · ', h('button', { type: 'button', class: 'link', click: () => emit(this, 'nac-bundled') }, 'back to the bundled one')]));
    const { firstChild } = this;
    void warning.then((text) => {
      // By then another may be ready.
      if (text && this.firstChild === firstChild) this.append(h('p', { class: 'hint', role: 'alert' }, `Take the scores with care: ${text}.`));
    });
  }

  failed() {
    this.#downloads.clear();
    this.#show('failed', 'Not running');
  }

  /** @param {'loading' | 'ready' | 'failed'} state @param {any} title @param {...any} below */
  #show(state, title, ...below) {
    this.dataset.state = state;
    this.replaceChildren(h('p', { class: 'engine-name' }, h('span', { class: 'dot', 'aria-hidden': 'true' }), title), ...below);
  }
}

customElements.define('nac-engine-state', EngineState);
