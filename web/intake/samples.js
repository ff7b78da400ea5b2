// @ts-check
/** The bundled samples, to try. */
import { NacError } from '../../wasm/js/error.js';
import { emit, h } from '../dom.js';
import { locate } from '../locate.js';
import { SETS } from './sample-list.js';

/** @param {string} path "set/name.png" */
const locateSample = (path) => locate(`${document.body.dataset.samples}${path}`);

/** The gallery. Fires nac-files with the chosen samples as Files. */
export class Samples extends HTMLElement {
  /** @type {Map<string, HTMLButtonElement>} by "set/name.png" */
  #tiles = new Map();

  connectedCallback() {
    const tile = (/** @type {string} */ folder, /** @type {string} */ name) => {
      const path = `${folder}/${name}.png`;
      const url = locateSample(path).href;
      // Lazy: all of them are asked for when the page is laid out, behind the binary and the worker, not in front of them.
      const words = name.replaceAll('-', ' ');
      const button = h('button', { type: 'button', class: 'sample', title: words, click: () => this.#choose([path]) },
        h('img', { src: url, alt: words, width: 32, height: 32, loading: 'lazy', class: 'pixelated' }));
      this.#tiles.set(path, button);
      return h('li', null, button);
    };
    this.replaceChildren(
      h('div', { class: 'row' }, h('h2', null, 'Try a sample'),
        h('button', { type: 'button', class: 'quiet', click: () => this.#choose([...this.#tiles.keys()]) }, 'Score all of them')),
      ...SETS.map(({ folder, title, known, names }) => [
        h('h3', null, title, h('span', { class: 'tag' }, known ? 'in-distribution' : 'out-of-distribution')),
        h('ul', { class: 'tiles' }, names.map((name) => tile(folder, name))),
      ]).flat(),
    );
  }

  /** @param {string[]} paths @param {boolean | Promise<boolean>} [wanted] after all */
  async #choose(paths, wanted = true) {
    try {
      const files = await Promise.all(paths.map(async (path) => {
        const response = await fetch(locateSample(path));
        if (!response.ok) throw new NacError('NOT_FOUND', `${path}: the server answers ${response.status}`);
        return new File([await response.blob()], path, { type: 'image/png' });
      }));
      if (await wanted) emit(this, 'nac-files', { files });
    } catch (error) {
      emit(this, 'nac-failed', { error, subject: 'model' });
    }
  }

  /** Marks a sample with its verdict, and the one that is shown. @param {string} path @param {string | null} verdict */
  mark(path, verdict) {
    const tile = this.#tiles.get(path);
    if (tile && verdict) tile.dataset.verdict = verdict;
  }

  /** @param {string} path */
  select(path) {
    for (const [name, tile] of this.#tiles) tile.setAttribute('aria-pressed', String(name === path));
  }

  /** Shows what a first visitor should see, fetched at once. @param {boolean | Promise<boolean>} [wanted] whether it is, when all is ready for it */
  chooseFirst(wanted) {
    return this.#choose(['cifar10/ship.png'], wanted);
  }
}

customElements.define('nac-samples', Samples);
