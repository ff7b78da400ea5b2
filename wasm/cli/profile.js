// @ts-check
/** nac profile: counts what a network's neurons do on in-distribution images, and calibrates the threshold. */
import { build } from '../js/build.js';
import { NacError } from '../js/error.js';
import { host } from '../js/host-node.js';
import { RUN_HELP, RUN_OPTIONS, UsageError, layersOf, numberOf, numbersOf, required, runOptions } from './shared/args.js';
import { baseName, packageVersion, writeOutput } from './shared/files.js';
import { listImages } from './shared/images.js';
import { readModelInfo, readPreset } from './shared/model.js';
import { choose, describe, labelsFor, presetFor } from './shared/profiles.js';
import { makeSkipped } from './shared/skipped.js';

export const summary = 'Build and calibrate a profile from in-distribution images';

export const help = `
nac profile --model M.onnx --id DIR --out P.safetensors [options]

DIR holds PNG and JPEG files (its folders are classes) or sprites; or is a sprite F.png#32x32.

  --holdout DIR        images for the threshold; those that are in the profile too are left out
  --holdout-fraction F share of DIR to hold out where there is no --holdout (0.2; 0: no threshold)
  --limit N            that many images in the profile, as many of every class
  --seed S             of the choice (0)
  --layers a,b=KIND    taps: names of ONNX tensors; KIND sum (default), nhwc, mean, cls or none. "auto" chooses
  --preset NAME        preprocessing: imagenet, cifar10, tf or a JSON file (by the model's input: 32 x 32 is cifar10)
  --labels FILE        names of the classes, one a line (the model's own; else the folders of DIR where there are as many)
  --alpha a,b          steepness, one a layer or one for all (1 / the 0.7-quantile of |Z G|)
  --bins M,M           edges, even (50)
  --fill O,O           images that fill a bin (a twentieth of all)
  --false-alarm RATE   share of in-distribution images that the threshold flags (0.05)
  --shard i/n          every n-th image only, without a threshold, for \`nac merge\`; needs --alpha
  --out P              ${RUN_HELP}`;

/** @type {Record<string, import('./shared/args.js').Option>} */
export const options = {
  ...RUN_OPTIONS,
  model: { type: 'string' },
  id: { type: 'string', multiple: true },
  holdout: { type: 'string', multiple: true },
  'holdout-fraction': { type: 'string' },
  limit: { type: 'string' },
  seed: { type: 'string' },
  layers: { type: 'string' },
  preset: { type: 'string' },
  labels: { type: 'string' },
  alpha: { type: 'string' },
  bins: { type: 'string' },
  fill: { type: 'string' },
  'false-alarm': { type: 'string' },
  shard: { type: 'string' },
  out: { type: 'string' },
};

/** @type {import('./shared/args.js').Command['run']} */
export async function run({ values, paths }, { terminal, signal, argv }) {
  if (paths.length > 0) throw new UsageError(`${paths[0]}: images are named with --id`);
  const model = required(values, 'model');
  const out = required(values, 'out');
  const id = required(values, 'id');
  const limit = numberOf(values, 'limit', { min: 1, integer: true });
  const seed = numberOf(values, 'seed', { integer: true }) ?? 0;
  if (values.holdout && values['holdout-fraction']) throw new UsageError('--holdout and --holdout-fraction exclude each other');
  const fraction = values.holdout ? 0 : (numberOf(values, 'holdout-fraction', { min: 0, max: 0.95 }) ?? 0.2);
  const falseAlarm = numberOf(values, 'false-alarm', { min: 0, max: 1 });
  const shard = shardOf(values.shard);
  if (shard && !values.alpha) throw new UsageError('--shard needs --alpha: shards of different alphas cannot be merged');
  const settings = {
    layers: layersOf(values.layers),
    alpha: numbersOf(values, 'alpha', { min: Number.MIN_VALUE }),
    bins: numbersOf(values, 'bins', { min: 4, max: 10000, integer: true }),
    fill: numbersOf(values, 'fill', { min: Number.MIN_VALUE }),
  };
  terminal.quiet = Boolean(values.quiet);

  const skipped = makeSkipped(terminal);
  const all = await listImages(id, skipped.add);
  const chosen = choose(all, { limit, fraction, seed });
  const images = shard ? chosen.images.filter((_, i) => i % shard.count === shard.index) : chosen.images;
  if (images.length === 0) throw new NacError('NOT_FOUND', `${id.join(', ')}: no image for the profile there`);
  const holdout = shard ? [] : values.holdout ? await listImages(values.holdout, skipped.add) : chosen.holdout;

  const info = await readModelInfo(model);
  const labels = await labelsFor(values.labels, info, all);
  const preprocess = (await readPreset(values.preset)) ?? presetFor(info, terminal);
  const count = images.length + holdout.length;
  const { bytes, summary: built } = await build(host, {
    model,
    modelName: baseName(model),
    images,
    holdout,
    preprocess,
    ...settings,
    falseAlarm,
    total: chosen.images.length,
    labels,
    provenance: { command: ['nac', ...argv].join(' '), version: await packageVersion(), ...(shard && { shard: values.shard }) },
    onError: skipped.add,
    onProgress: ({ stage, loaded }) => stage === 'images' && terminal.progress('counting', loaded, count),
    ...runOptions(values),
    signal,
  });
  terminal.endProgress();
  await writeOutput(out, [bytes]);

  const document = { schema: 'nac.profile/1', model, profile: out, ...built, errors: skipped.errors };
  if (values.json) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  else describe(out, built, terminal);
  return skipped.errors.length > 0 ? 3 : 0;
}

/** "1/4", from 0 or from 1: what counts is the remainder, so 0..n-1 and 1..n are the same n shards.
 * @param {string | undefined} text
 */
function shardOf(text) {
  if (text === undefined) return null;
  const match = /^(\d+)\/(\d+)$/.exec(text);
  const [index, count] = match ? [Number(match[1]), Number(match[2])] : [1, 0];
  if (count < 1 || index > count) throw new UsageError(`--shard ${text}: i/n is needed, with i in 1..n`);
  return { index: index % count, count };
}
