// @ts-check
/** nac compare: which of several checkpoints generalises best, by the coverage of their neurons (NAC-ME). */
import { parseLayers } from '../js/build.js';
import { argMax } from '../js/collector.js';
import { openPool } from '../js/detector.js';
import { Engine } from '../js/engine.js';
import { NacError } from '../js/error.js';
import { host } from '../js/host-node.js';
import { defaultPreset } from '../js/inspect.js';
import { collectStates } from '../js/states.js';
import { balancedOrder } from '../js/subset.js';
import { RUN_HELP, RUN_OPTIONS, UsageError, layersOf, numberOf, required, runOptions } from './shared/args.js';
import { groupsOf, listImages } from './shared/images.js';
import { readModelInfo, readPreset } from './shared/model.js';
import { spearman } from './shared/spearman.js';
import { makeSkipped } from './shared/skipped.js';
import { table } from './shared/terminal.js';

export const summary = 'Rank checkpoints by how much of their neurons is used';

export const help = `
nac compare --id DIR MODEL… [options]

NAC-ME of each model: mean over neurons of the share of bins that correctly classified images of DIR fill. The paper's finding:
of checkpoints of one network, those of higher coverage generalise better. Where DIR's folders are no classes of the model, all
images count, and it says so.

  --limit N            that many images, as many of every class
  --seed S             of the choice (0)
  --layers NAME=KIND   the tap, one (the first that "auto" chooses: the classifier's input)
  --preset NAME        preprocessing: imagenet, cifar10, tf or a JSON file (by the model's input)
  --alpha A            (0.1)
  --bins M             edges (50)
  --fill O             images that fill a bin (500)${RUN_HELP}`;

/** @type {Record<string, import('./shared/args.js').Option>} */
export const options = {
  ...RUN_OPTIONS,
  id: { type: 'string', multiple: true },
  'accuracy-on': { type: 'string', multiple: true },
  limit: { type: 'string' },
  seed: { type: 'string' },
  layers: { type: 'string' },
  preset: { type: 'string' },
  alpha: { type: 'string' },
  bins: { type: 'string' },
  fill: { type: 'string' },
};

/** @type {import('./shared/args.js').Command['run']} */
export async function run({ values, paths: models }, { terminal, signal }) {
  const id = required(values, 'id');
  if (models.length === 0) throw new UsageError('compare needs models');
  const alpha = numberOf(values, 'alpha', { min: Number.MIN_VALUE }) ?? 0.1;
  const bins = numberOf(values, 'bins', { min: 2, max: 10000, integer: true }) ?? 50;
  const fill = numberOf(values, 'fill', { min: Number.MIN_VALUE }) ?? 500;
  const limit = numberOf(values, 'limit', { min: 1, integer: true });
  const seed = numberOf(values, 'seed', { integer: true }) ?? 0;
  const taps = parseLayers(layersOf(values.layers));
  if (taps.length > 1) throw new UsageError(`--layers ${values.layers}: NAC-ME is of one layer`);
  terminal.quiet = Boolean(values.quiet);

  const skipped = makeSkipped(terminal);
  const listed = async (/** @type {string[]} */ paths) => {
    const all = await listImages(paths, skipped.add);
    const images = limit === undefined ? all : balancedOrder(all, seed).slice(0, limit);
    if (images.length === 0) throw new NacError('NOT_FOUND', `${paths.join(', ')}: no PNG or JPEG file there`);
    return images;
  };
  const sets = { id: await listed(id), shifted: values['accuracy-on'] && (await listed(values['accuracy-on'])) };
  /** @type {Measured[]} */
  const results = [];
  for (const model of models) {
    const preprocess = (await readPreset(values.preset)) ?? defaultPreset(await readModelInfo(model));
    // An image that cannot be read is reported for the first model only.
    const onError = /** @type {(file: string, error: Error) => void} */ (results.length === 0 ? skipped.add : () => {});
    results.push(await measure(model, sets, { taps, preprocess, alpha, bins, fill, onError, terminal, signal, execution: runOptions(values) }));
  }
  results.sort((a, b) => b.coverage - a.coverage);
  const pathOf = (/** @type {string[]} */ paths) => (paths.length === 1 ? paths[0] : paths);
  const document = {
    schema: 'nac.compare/1',
    id: { path: pathOf(id), images: sets.id.length },
    ...(sets.shifted && { shifted: { path: pathOf(values['accuracy-on']), images: sets.shifted.length }, spearman: correlate(results) }),
    settings: { alpha, bins, fill },
    models: results,
    errors: skipped.errors,
  };
  if (values.json) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  else process.stdout.write(toTable(results) + toSentence(document.spearman, results.length));
  return skipped.errors.length > 0 ? 3 : 0;
}

/**
 * @typedef {{ model: string, layer: string, coverage: number, images: number, accuracy: number | null, shiftedAccuracy?: number }} Measured
 * @typedef {import('./shared/images.js').LazyImage[]} Images
 * @typedef {(states: import('../js/states.js').States) => void} OnRight
 */

/**
 * @param {string} model
 * @param {{ id: Images, shifted?: Images }} sets
 * @param {any} how
 * @returns {Promise<Measured>}
 */
async function measure(model, sets, { taps, preprocess, alpha, bins, fill, onError, terminal, signal, execution }) {
  const { pool, info, module } = await openPool(host, { model, taps, preprocess, ...execution, signal });
  try {
    const engine = await Engine.create(module);
    /** @type {import('../js/engine/coverage.js').Coverage | undefined} */
    let coverage;
    let layer = '';
    const judge = (/** @type {string} */ what, /** @type {Images} */ images, /** @type {OnRight} */ onRight) =>
      judgeImages(images, onRight, { pool, labels: info.labels, signal, onError, onProgress: (done) => terminal.progress(`${model}, ${what}`, done, images.length) });
    const inside = await judge('coverage', sets.id, ({ taps: [{ name, neurons }], z, g }) => {
      coverage ??= engine.createCoverage({ neurons, alpha, M: bins, linear: true });
      layer = name;
      coverage.add(z[0], g[0]);
    });
    if (inside.seen === 0) throw new NacError('NOT_FOUND', `${model}: no image could be read`);
    if (!coverage) throw new NacError('MISMATCH', `${model}: no image is classified correctly`);
    if (inside.accuracy === null) terminal.log(`${model}: the folders are not its classes, so all ${inside.seen} images count, right or wrong`);
    const measured = { model, layer, coverage: coverage.modelCoverage(fill), images: inside.counted, accuracy: inside.accuracy };
    if (!sets.shifted) return measured;
    const { accuracy } = await judge('accuracy', sets.shifted, () => {});
    if (accuracy === null) throw new NacError('MISMATCH', `${model}: the folders of --accuracy-on are not its classes`);
    return { ...measured, shiftedAccuracy: accuracy };
  } finally {
    terminal.endProgress();
    pool.close();
  }
}

/**
 * Runs a network over images and hands on the states of those that it classifies correctly; of all, where the folders are not
 * its classes.
 * @param {Images} images
 * @param {OnRight} onRight
 * @param {{ pool: import('../js/states.js').AnyPool, labels?: string[], signal: AbortSignal, onError: (file: string, error: Error) => void, onProgress: (done: number) => void }} how
 */
async function judgeImages(images, onRight, { pool, labels, signal, onError, onProgress }) {
  const groups = groupsOf(images);
  let [seen, judged, right, done] = [0, 0, 0, 0];
  for await (const { image, states } of collectStates(host, pool, images, { signal, onError, onProgress: () => onProgress(++done) })) {
    ++seen;
    const names = labels ?? (groups?.length === states.logits.length ? groups : undefined);
    const truth = names?.indexOf(image.group ?? '') ?? -1;
    if (truth >= 0) {
      ++judged;
      if (truth !== argMax(states.logits)) continue;
      ++right;
    }
    onRight(states);
  }
  return { counted: seen - judged + right, seen, accuracy: judged > 0 ? right / judged : null };
}

/** How well two figures that need no shifted images rank the models by their accuracy on such; null where they cannot.
 * @param {Measured[]} results
 */
function correlate(results) {
  const shifted = results.map(({ shiftedAccuracy }) => shiftedAccuracy ?? NaN);
  const known = results.every(({ accuracy }) => accuracy !== null);
  return {
    coverage: spearman(results.map(({ coverage }) => coverage), shifted),
    accuracy: known ? spearman(results.map(({ accuracy }) => accuracy ?? NaN), shifted) : null,
  };
}

/** @param {ReturnType<typeof correlate> | undefined} found @param {number} models */
function toSentence(found, models) {
  if (!found) return '';
  const text = (/** @type {number | null} */ value) => (value === null ? '-' : value.toFixed(3));
  return `\nSpearman correlation with the accuracy on shifted images, ${models} models: NAC-ME ${text(found.coverage)}, accuracy on --id ${text(found.accuracy)}\n`;
}

/** @param {Measured[]} results */
function toTable(results) {
  /** @type {import('./shared/terminal.js').Column[]} */
  const columns = [
    { title: '#', width: 2, align: 'right' },
    { title: 'model', width: 26, cut: 'start' },
    { title: 'layer', width: 14, cut: 'start' },
    { title: 'NAC-ME', width: 7, align: 'right' },
    { title: 'images', width: 6, align: 'right' },
    { title: 'right', width: 6, align: 'right' },
    ...(results[0].shiftedAccuracy === undefined ? [] : [/** @type {import('./shared/terminal.js').Column} */ ({ title: 'shifted', width: 7, align: 'right' })]),
  ];
  const percent = (/** @type {number | null | undefined} */ share) => (share === null || share === undefined ? '-' : `${(100 * share).toFixed(1)}%`);
  return table(columns, results.map((r, i) => [String(i + 1), r.model, r.layer, r.coverage.toFixed(4), String(r.images), percent(r.accuracy), percent(r.shiftedAccuracy)]));
}
