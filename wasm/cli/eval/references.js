// @ts-check
/** In-distribution images that features are compared with: KNN and ViM. */
import { loadModule } from '../../js/detector.js';
import { Engine } from '../../js/engine.js';
import { NacError } from '../../js/error.js';
import { scoreEach } from '../../js/evaluate.js';
import { host } from '../../js/host-node.js';
import { readModel } from '../../js/model-source.js';
import { runOptions } from './sets.js';

/** @typedef {import('../../js/evaluate.js').Scored} Scored */
/** @typedef {import('./vim.js').Vim} Vim */

/** What scoreSet takes as `references`. */
class References {
  #hashes;
  #neighbours;
  #vim;

  /**
   * @param {Set<bigint>} hashes
   * @param {import('../../js/engine/neighbours.js').Neighbours} neighbours
   * @param {Vim | null} vim
   */
  constructor(hashes, neighbours, vim) {
    this.#hashes = hashes;
    this.#neighbours = neighbours;
    this.#vim = vim;
    this.images = hashes.size;
    this.k = neighbours.k;
  }

  /** @param {bigint} hash */
  has(hash) {
    return this.#hashes.has(hash);
  }

  /** @param {Scored[]} images */
  score(images) {
    const vim = this.#vim;
    const knn = this.#neighbours.score(images.map(({ features }) => features));
    return { knn, ...(vim && { vim: images.map(({ features, methods }) => vim.score(features, methods.energy)) }) };
  }
}

/**
 * @param {import('./sets.js').LazyImage[]} images
 * @param {{ k: number, variant: any }} how
 * @param {import('./sets.js').Context} context
 */
export async function collectReferences(images, { k, variant }, context) {
  const { detector, terminal, files } = context;
  /** @type {Map<bigint, Scored>} */
  const scored = new Map();
  for await (const one of scoreEach(detector, images, runOptions('references', images.length, context))) scored.set(one.hash, one);
  terminal.endProgress();
  if (scored.size === 0) throw new NacError('NOT_FOUND', '--reference: no image there could be read');
  const all = [...scored.values()];
  const nearest = Math.min(k, all.length);
  if (nearest < k) terminal.log(`KNN by the ${nearest}th nearest reference: there are no more`);
  const engine = await Engine.create((await loadModule(host, { variant })).module);
  const neighbours = engine.createNeighbours({ references: all.map(({ features }) => features), k: nearest });
  return new References(new Set(scored.keys()), neighbours, await makeVim(engine, files.model, all, terminal));
}

/**
 * @param {Engine} engine
 * @param {string} model
 * @param {Scored[]} references
 * @param {import('../shared/terminal.js').Terminal} terminal
 */
async function makeVim(engine, model, references, terminal) {
  const [{ layer, dims, features }] = references;
  if (!layer.classifierInput) {
    terminal.log(`no ViM: ${layer.name} is not the classifier's input (the profile has no layer that is)`);
    return null;
  }
  if (references.length <= features.length) {
    terminal.log(`no ViM: it needs more references than there are features (${features.length})`);
    return null;
  }
  terminal.progress('subspace of the references', 0, 1);
  // Only here, because it brings a library that no other part needs.
  const { Vim } = await import('./vim.js');
  const classifier = classifierOf(engine, await readModel(host, model), layer, dims);
  return Vim.create({ references: references.map((one) => one.features), maxLogits: references.map(({ methods }) => methods.maxLogit), classifier });
}

/**
 * @param {Engine} engine
 * @param {Awaited<ReturnType<typeof readModel>>} read
 * @param {import('../../js/engine.js').Tap} layer
 * @param {number[]} dims of the session that computed the features
 */
function classifierOf(engine, { model, files }, { name, pool }, [batch, height, width]) {
  // Never run: only this backend's session still has the weights.
  const options = { batch, height, width, taps: [{ name, pool }], backend: /** @type {const} */ ('reference'), closeModel: true };
  const session = engine.createSession(engine.openModel(model, { files }), options);
  try {
    return session.classifier();
  } finally {
    session.close();
  }
}
