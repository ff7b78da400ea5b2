// @ts-check
/** nac compare: which of several checkpoints generalises best, by the coverage of their neurons (NAC-ME). */
import { parseLayers } from '../js/build.js';
import { argMax } from '../js/collector.js';
import { openPool } from '../js/detector.js';
import { Engine } from '../js/engine.js';
import { NacError } from '../js/error.js';
import { host } from '../js/host-node.js';
import { collectStates } from '../js/states.js';
import { balancedOrder } from '../js/subset.js';
import { RUN_HELP, RUN_OPTIONS, UsageError, layersOf, numberOf, required, runOptions } from './shared/args.js';
import { readPreset } from './shared/files.js';
import { groupsOf, listImages } from './shared/images.js';
import { defaultPreset, readModelInfo } from './shared/model.js';
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
  const all = await listImages(id, skipped.add);
  const images = limit === undefined ? all : balancedOrder(all, seed).slice(0, limit);
  if (images.length === 0) throw new NacError('NOT_FOUND', `${id.join(', ')}: no PNG or JPEG file there`);
  const results = [];
  for (const model of models) {
    const preprocess = (await readPreset(values.preset)) ?? defaultPreset(await readModelInfo(model));
    // An image that cannot be read is reported for the first model only.
    const onError = /** @type {(file: string, error: Error) => void} */ (results.length === 0 ? skipped.add : () => {});
    results.push(await measure(model, images, { taps, preprocess, alpha, bins, fill, onError, terminal, signal, execution: runOptions(values) }));
  }
  results.sort((a, b) => b.coverage - a.coverage);
  const settings = { alpha, bins, fill };
  const document = { schema: 'nac.compare/1', id: { path: id.length === 1 ? id[0] : id, images: images.length }, settings, models: results, errors: skipped.errors };
  if (values.json) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  else process.stdout.write(toTable(results));
  return skipped.errors.length > 0 ? 3 : 0;
}

/**
 * @param {string} model
 * @param {import('./shared/images.js').LazyImage[]} images
 * @param {any} how
 */
async function measure(model, images, { taps, preprocess, alpha, bins, fill, onError, terminal, signal, execution }) {
  const { pool, info, module } = await openPool(host, { model, taps, preprocess, ...execution, signal });
  try {
    const engine = await Engine.create(module);
    /** @type {import('../js/engine/coverage.js').Coverage | undefined} */
    let coverage;
    let [done, seen, judged, right] = [0, 0, 0, 0];
    const groups = groupsOf(images);
    let layer = '';
    const onProgress = () => terminal.progress(model, ++done, images.length);
    for await (const { image, states } of collectStates(host, pool, images, { signal, onError, onProgress })) {
      const { name, neurons } = states.taps[0];
      coverage ??= engine.createCoverage({ neurons, alpha, M: bins, linear: true });
      layer = name;
      ++seen;
      const labels = info.labels ?? (groups?.length === states.logits.length ? groups : undefined);
      const truth = labels?.indexOf(image.group ?? '') ?? -1;
      if (truth >= 0) {
        ++judged;
        if (truth !== argMax(states.logits)) continue;
        ++right;
      }
      coverage.add(states.z[0], states.g[0]);
    }
    terminal.endProgress();
    if (!coverage) throw new NacError('NOT_FOUND', `${model}: no image could be read`);
    const known = judged > 0;
    if (!known) terminal.log(`${model}: the folders are not its classes, so all ${seen} images count, right or wrong`);
    return { model, layer, coverage: coverage.modelCoverage(fill), images: seen - judged + right, accuracy: known ? right / judged : null };
  } finally {
    terminal.endProgress();
    pool.close();
  }
}

/** @param {{ model: string, layer: string, coverage: number, images: number, accuracy: number | null }[]} results */
function toTable(results) {
  /** @type {import('./shared/terminal.js').Column[]} */
  const columns = [
    { title: '#', width: 2, align: 'right' },
    { title: 'model', width: 34, cut: 'start' },
    { title: 'layer', width: 14, cut: 'start' },
    { title: 'NAC-ME', width: 7, align: 'right' },
    { title: 'images', width: 6, align: 'right' },
    { title: 'right', width: 6, align: 'right' },
  ];
  const percent = (/** @type {number | null} */ share) => (share === null ? '-' : `${(100 * share).toFixed(1)}%`);
  return table(columns, results.map((r, i) => [String(i + 1), r.model, r.layer, r.coverage.toFixed(4), String(r.images), percent(r.accuracy)]));
}
