// @ts-check
/** How much has come of the files that a detector is made of. */

const STAGES = ['wasm', 'model', 'profile'];

export class Downloads {
  /** @type {Map<string, { loaded: number, total: number | null }>} */
  #seen = new Map();

  /** @param {{ stage: string, loaded: number, total: number | null }} progress */
  add({ stage, loaded, total }) {
    this.#seen.set(stage, { loaded, total });
  }

  clear() {
    this.#seen.clear();
  }

  /** Bytes. */
  get loaded() {
    return this.#known.reduce((sum, { loaded }) => sum + loaded, 0);
  }

  /** Bytes in all; null until every file's length is known, and where a server compresses and so doesn't say. */
  get total() {
    const known = this.#known;
    if (known.length < STAGES.length || known.some(({ total }) => total === null)) return null;
    return known.reduce((sum, { total }) => sum + /** @type {number} */ (total), 0);
  }

  get complete() {
    return this.loaded === this.total;
  }

  get #known() {
    return STAGES.flatMap((stage) => this.#seen.get(stage) ?? []);
  }
}
