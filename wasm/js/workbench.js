// @ts-check
/**
 * States of images, kept, so that settings of a profile can be tried without running the network again: collect once, measure as
 * often as a slider moves, save what is good. Memory: 8 bytes a neuron and image.
 */
import { parseLayers } from './build.js';
import { BINS, Collector, addSelfTest, calibrate, chooseAlpha, chooseFill, describeProfile, joinStates, statesOfLayers, summarise } from './collector.js';
import { openPool } from './detector.js';
import { Engine } from './engine.js';
import { NacError } from './error.js';
import { nameOf } from './images.js';
import { divideModel } from './model-source.js';
import { collectStates } from './states.js';
import { madeUp } from './synthetic.js';
import { tune } from './tune.js';

/**
 * @typedef {import('./images.js').ImageInput} ImageInput
 * @typedef {import('./states.js').States} States
 * @typedef {'profile' | 'held' | 'ood'} Part counted; held out, for the threshold and for comparisons; outliers
 * @typedef {{ layers?: number[], alpha: number[], bins: number[], fill: number[] }} Settings one value a layer; layers: which of the taps, all
 *   of them without it
 */

export class Workbench {
  /** @type {Record<'profile' | 'held', States[]> & { ood: States[][] }} ood: a list a set */
  #states = { profile: [], held: [], ood: [] };
  #host;
  #opened;
  #engine;
  #source;

  /**
   * @param {import('./host.js').Host} host
   * @param {Awaited<ReturnType<typeof openPool>>} opened
   * @param {Engine} engine
   * @param {string} source the model's name
   */
  constructor(host, opened, engine, source) {
    this.#host = host;
    this.#opened = opened;
    this.#engine = engine;
    this.#source = source;
    this.info = opened.info;
  }

  /**
   * @param {import('./host.js').Host} host
   * @param {import('./detector.js').CommonOptions & { model: import('./detector.js').ModelSource, layers?: import('./build.js').BuildOptions['layers'], preprocess?: string | object }} options
   */
  static async open(host, options) {
    const { preprocess = 'imagenet', layers, ...common } = options;
    const opened = await openPool(host, { ...common, profile: undefined, preprocess, taps: parseLayers(layers) });
    return new Workbench(host, opened, await Engine.create(opened.module), nameOf(divideModel(options.model).model));
  }

  /** Images of each part. */
  get counts() {
    const { profile, held, ood } = this.#states;
    return { profile: profile.length, held: held.length, ood: ood.flat().length };
  }

  /**
   * Adds images to a part; of outliers, every call is a set of its own. What was collected when it is aborted stays.
   * @param {Part} part
   * @param {Iterable<ImageInput> | AsyncIterable<ImageInput>} images
   * @param {{ signal?: AbortSignal, onProgress?: () => void, onError?: (file: string, error: Error) => void }} [options]
   */
  async collect(part, images, options = {}) {
    const into = part === 'ood' ? /** @type {States[]} */ ([]) : this.#states[part];
    if (part === 'ood') this.#states.ood.push(into);
    for await (const { states } of collectStates(this.#host, this.#opened.pool, images, options)) into.push(states);
  }

  /**
   * Outliers made of in-distribution images, where there are no real ones: a set of every kind that is known.
   * @param {ImageInput[]} images
   * @param {number} limit of each set
   * @param {{ signal?: AbortSignal, onProgress?: () => void, onError?: (file: string, error: Error) => void }} [options]
   */
  async collectSynthetic(images, limit, options) {
    const decode = (/** @type {Uint8Array} */ bytes) => this.#opened.pool.run({ kind: 'decode', bytes });
    for (const { images: made } of madeUp(images, limit, decode)) await this.collect('ood', made, options);
  }

  /** @param {Part} part */
  clear(part) {
    this.#states[part] = [];
  }

  /** What a profile takes where nothing is given. @returns {Settings} */
  defaults() {
    const { profile } = this.#states;
    if (profile.length === 0) throw new NacError('INVALID_ARGUMENT', 'there is no image to build a profile from');
    const layers = profile[0].taps.map((_, layer) => layer);
    return {
      alpha: layers.map((layer) => chooseAlpha(joinStates(profile, 'z', layer), joinStates(profile, 'g', layer))),
      bins: layers.map(() => BINS),
      fill: layers.map(() => chooseFill(profile.length)),
    };
  }

  /**
   * The profile of these settings, and how it does. Of the held-out images every second one sets the threshold, and the others
   * are compared with the outliers: so figures that a setting was chosen by are not those that it is calibrated with.
   * @param {Settings} settings
   * @param {number} [falseAlarm]
   */
  async measure(settings, falseAlarm = 0.05) {
    const profile = await this.#build(settings, falseAlarm);
    const outliers = this.#states.ood.flat();
    try {
      const scores = (/** @type {States[]} */ all) => Float32Array.from(all, (states) => {
        const { z, g } = statesOfLayers(states, profile.layers);
        return profile.score(1, z, g).scores[0];
      });
      const [id, ood] = [scores(this.#comparing), scores(outliers)];
      const { calibration } = profile;
      return {
        ...summarise(profile), calibration, id, ood,
        metrics: id.length > 0 && ood.length > 0 ? this.#engine.metrics(id, ood) : null,
        energy: id.length > 0 && ood.length > 0 ? this.#engine.metrics(this.#energies(this.#comparing), this.#energies(outliers)) : null,
      };
    } finally {
      profile.close();
    }
  }

  /**
   * Searches the layers and settings that part held-out images and outliers best.
   * @param {{ onProgress?: (done: number, total: number) => void }} [options]
   */
  search(options) {
    const { profile, ood } = this.#states;
    const id = this.#comparing;
    const sets = ood.filter((set) => set.length > 0);
    if (profile.length === 0 || id.length === 0 || sets.length === 0) throw new NacError('INVALID_ARGUMENT', 'a search needs images to count, held-out ones, and outliers');
    const { layers, settings, ...found } = tune(this.#engine, { profile, id, ood: sets }, options);
    return { ...found, settings: { layers, ...settings } };
  }

  /**
   * @param {Settings} settings
   * @param {{ falseAlarm?: number, labels?: string[], provenance?: Record<string, any> }} [options]
   * @returns {Promise<Uint8Array>} the profile's file
   */
  async save(settings, { falseAlarm = 0.05, labels, provenance } = {}) {
    const profile = await this.#build(settings, falseAlarm);
    try {
      const { info, sha256, pool } = this.#opened;
      describeProfile(profile, { modelName: this.#source, sha256, preprocess: info.preprocess, labels: labels ?? info.labels, provenance });
      await addSelfTest(profile, pool);
      return profile.save();
    } finally {
      profile.close();
    }
  }

  close() {
    this.#opened.pool.close();
    this.#states = { profile: [], held: [], ood: [] };
  }

  /** @param {Settings} settings @param {number} falseAlarm */
  async #build(settings, falseAlarm) {
    const { profile: counted } = this.#states;
    if (counted.length === 0) throw new NacError('INVALID_ARGUMENT', 'there is no image to build a profile from');
    const { layers, ...values } = settings;
    const taps = layers ? layers.map((layer) => counted[0].taps[layer]) : counted[0].taps;
    const collector = new Collector(this.#engine, values, counted.length);
    for (const states of counted) collector.add(statesOfLayers(states, taps));
    const profile = collector.finish();
    const calibrating = this.#states.held.filter((_, i) => i % 2 === 1);
    await calibrate(this.#engine, profile, calibrating.map((states) => statesOfLayers(states, taps)), falseAlarm);
    return profile;
  }

  /** Held-out images that neither the profile nor the threshold knows. */
  get #comparing() {
    const known = new Set(this.#states.profile.map(({ hash }) => hash));
    return this.#states.held.filter(({ hash }, i) => i % 2 === 0 && !known.has(hash));
  }

  /** @param {States[]} states */
  #energies(states) {
    return Float32Array.from(states, ({ logits }) => this.#engine.baselines(logits).energy);
  }
}
