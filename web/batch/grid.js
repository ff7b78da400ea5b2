// @ts-check
/** Scored images as tiles, a page of them at a time: ten thousand images are no heavier than a hundred. */
import { emit, h } from '../dom.js';
import { explainError, percent, shortP, verdictTitle } from '../words.js';
import { Thumbnails } from './thumbnails.js';

/** @typedef {import('./gallery.js').Entry} Entry */

const PAGE = 60;

export class Grid extends HTMLElement {
  /** Who reads sheets of tiles. @type {import('../intake/pictures.js').Decode} */
  decode = () => Promise.reject(new Error('there is no decoder'));
  /** @type {Entry[]} */
  #entries = [];
  /** What is on the page now, to see whether anything has changed. @type {Entry[]} */
  #shown = [];
  #page = 0;
  #thumbnails = new Thumbnails((bytes) => this.decode(bytes));
  #tiles = h('ul', { class: 'grid' });
  #place = h('span', { class: 'number' });
  #previous = h('button', { type: 'button', click: () => this.#turn(-1) }, '← Less familiar');
  #next = h('button', { type: 'button', click: () => this.#turn(1) }, 'More familiar →');
  #pager = h('nav', { class: 'row pager', 'aria-label': 'Pages of images' }, this.#previous, this.#place, this.#next);

  connectedCallback() {
    if (this.childElementCount === 0) this.append(this.#tiles, this.#pager);
  }

  /** @param {Entry[]} entries in the order to be shown */
  show(entries) {
    this.#entries = entries;
    this.#draw();
  }

  /** Forgets everything. */
  clear() {
    this.#thumbnails.clear();
    this.#page = 0;
    this.#shown = [];
    this.show([]);
  }

  first() {
    this.#page = 0;
  }

  /** Puts the focus on a tile, on whichever page it is. @param {Entry} entry */
  focusOn(entry) {
    const at = this.#entries.indexOf(entry);
    if (at >= 0) this.#page = Math.floor(at / PAGE);
    this.#draw();
    /** @type {HTMLElement | null} */ (this.querySelector(`[data-index="${entry.index}"]`))?.focus();
  }

  /** @param {number} step */
  #turn(step) {
    this.#page += step;
    this.#draw();
    this.scrollIntoView({ block: 'start' });
  }

  #draw() {
    const pages = Math.max(1, Math.ceil(this.#entries.length / PAGE));
    this.#page = Math.min(Math.max(this.#page, 0), pages - 1);
    const shown = this.#entries.slice(this.#page * PAGE, (this.#page + 1) * PAGE);
    this.#pager.hidden = pages < 2;
    this.#place.textContent = `Page ${this.#page + 1} of ${pages.toLocaleString('en')}`;
    this.#previous.disabled = this.#page === 0;
    this.#next.disabled = this.#page === pages - 1;
    if (shown.length === this.#shown.length && shown.every((entry, i) => entry === this.#shown[i])) return;
    this.#shown = shown;
    const focused = /** @type {any} */ (document.activeElement)?.dataset?.index;
    // Tiles that stay keep their picture, and are not touched: what is taken out and put back is laid out anew.
    const old = new Map([...this.#tiles.children].map((tile) => [Number(tile.firstElementChild.dataset.index), tile]));
    const tiles = shown.map((entry) => old.get(entry.index) ?? this.#tile(entry)), stay = new Set(tiles);
    for (const tile of old.values()) if (!stay.has(tile)) tile.remove();
    let next = this.#tiles.firstElementChild;
    for (const tile of tiles)
      if (tile === next) next = next.nextElementSibling;
      else this.#tiles.insertBefore(tile, next);
    if (focused !== undefined) this.#tiles.querySelector(`[data-index="${focused}"]`)?.focus();
  }

  /** @param {Entry} entry */
  #tile(entry) {
    const { picture: source, result, error, index } = entry;
    const { name } = source;
    const words = error ? explainError(error).title : result && verdictTitle(result);
    const picture = error ? h('span', { class: 'no-image', 'aria-hidden': 'true' }, '?') : h('span', { class: 'thumbnail', 'aria-hidden': 'true' });
    // Asked for when the tile is in the document: those that never are cost nothing.
    if (!error) queueMicrotask(() => picture.append(this.#thumbnails.of(source)));
    return h('li', null,
      h('button', { type: 'button', class: 'tile', 'data-index': index, 'data-verdict': error ? 'error' : (result?.verdict ?? 'none'), title: name, click: () => emit(this, 'nac-open', entry) },
        picture,
        h('span', { class: 'tile-name' }, shortName(source)), h('span', { class: 'visually-hidden' }, `: ${words}, `),
        h('span', { class: 'tile-verdict number' }, error ? 'unreadable' : shortP(result?.pValue)),
        result && h('span', { class: 'hint' }, `${result.label} ${percent(result.probability)}`)));
  }
}

/** Of a tile its number: the sheet's name is the same for all. @param {import('../intake/pictures.js').Picture} picture */
function shortName({ name, file, tile }) {
  return tile ? `${tile.index} of ${file.name}` : name.split('/').at(-1);
}

customElements.define('nac-grid', Grid);
