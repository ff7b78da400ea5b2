// @ts-check
/** nac tune: searches alpha, M and O of every layer, and writes the profile of what it found. */
import { parseLayers } from '../js/build.js';
import { Collector, addSelfTest, calibrate, describeProfile, statesOfLayers, summarise } from '../js/collector.js';
import { openPool } from '../js/detector.js';
import { Engine } from '../js/engine.js';
import { NacError } from '../js/error.js';
import { host } from '../js/host-node.js';
import { collectStates } from '../js/states.js';
import { balancedOrder } from '../js/subset.js';
import { KIND_NAMES, madeUp } from '../js/synthetic.js';
import { tune } from '../js/tune.js';
import { RUN_HELP, RUN_OPTIONS, UsageError, layersOf, numberOf, required, runOptions } from './shared/args.js';
import { baseName, packageVersion, writeOutput } from './shared/files.js';
import { listImages } from './shared/images.js';
import { readModelInfo, readPreset } from './shared/model.js';
import { choose, describe, labelsFor, presetFor } from './shared/profiles.js';
import { makeSkipped } from './shared/skipped.js';
import { table } from './shared/terminal.js';

export const summary = 'Search the settings of a profile';

export const help = `
nac tune --model M.onnx --id DIR [--ood DIR …] --out P.safetensors [options]

Chooses the layers and their alpha, M and O for the best mean AUROC between held-out images of DIR and those of each --ood, and
writes the calibrated profile. Of settings that are as good but for chance it takes those nearest to the defaults; and where, set
by set, a search without that set does no better on it than the defaults, the defaults stay. Without --ood the outliers are made
of DIR's own images, in ${KIND_NAMES.length} kinds (${KIND_NAMES.slice(0, 3).join(', ')}, …): that helps where outliers are far, and says nothing of near
ones. Evaluate on other outliers than these.

  --ood DIR            outliers; may be given several times
  --holdout DIR        held-out images; half of them choose, half set the threshold
  --holdout-fraction F share of DIR to hold out where there is no --holdout (0.3)
  --limit N            that many images in the profile, as many of every class
  --ood-limit N        of every outlier set (500; of every kind that is made up 150)
  --seed S             of the choices (0)
  --layers a,b=KIND    taps: names of ONNX tensors; KIND sum (default), nhwc, mean, cls or none. "auto" chooses
  --preset NAME        preprocessing: imagenet, cifar10, tf or a JSON file (by the model's input: 32 x 32 is cifar10)
  --labels FILE        names of the classes, one a line (the model's own; else the folders of DIR where there are as many)
  --false-alarm RATE   share of in-distribution images that the threshold flags (0.05)
  --out P              ${RUN_HELP}`;

/** @type {Record<string, import('./shared/args.js').Option>} */
export const options = {
  ...RUN_OPTIONS,
  model: { type: 'string' },
  id: { type: 'string', multiple: true },
  ood: { type: 'string', multiple: true },
  holdout: { type: 'string', multiple: true },
  'holdout-fraction': { type: 'string' },
  limit: { type: 'string' },
  'ood-limit': { type: 'string' },
  seed: { type: 'string' },
  layers: { type: 'string' },
  preset: { type: 'string' },
  labels: { type: 'string' },
  'false-alarm': { type: 'string' },
  out: { type: 'string' },
};

/** @type {import('./shared/args.js').Command['run']} */
export async function run({ values, paths }, { terminal, signal, argv }) {
  if (paths.length > 0) throw new UsageError(`${paths[0]}: images are named with --id and --ood`);
  const model = required(values, 'model');
  const out = required(values, 'out');
  const id = required(values, 'id');
  if (values.holdout && values['holdout-fraction']) throw new UsageError('--holdout and --holdout-fraction exclude each other');
  const fraction = values.holdout ? 0 : (numberOf(values, 'holdout-fraction', { min: 0.01, max: 0.95 }) ?? 0.3);
  const limit = numberOf(values, 'limit', { min: 1, integer: true });
  const oodLimit = numberOf(values, 'ood-limit', { min: 1, integer: true }) ?? (values.ood ? 500 : 150);
  const seed = numberOf(values, 'seed', { integer: true }) ?? 0;
  const falseAlarm = numberOf(values, 'false-alarm', { min: 0, max: 1 }) ?? 0.05;
  const taps = parseLayers(layersOf(values.layers));
  terminal.quiet = Boolean(values.quiet);

  const skipped = makeSkipped(terminal);
  const all = await listImages(id, skipped.add);
  const chosen = choose(all, { limit, fraction, seed });
  const held = values.holdout ? balancedOrder(await listImages(values.holdout, skipped.add), seed) : chosen.holdout;
  if (chosen.images.length === 0 || held.length < 4) throw new NacError('NOT_FOUND', `${id.join(', ')}: too few images there: some for the profile and 4 held out are needed`);
  // Alternating: both halves are as balanced as the whole.
  const halves = [0, 1].map((half) => held.filter((_, i) => i % 2 === half));

  const info = await readModelInfo(model);
  const labels = await labelsFor(values.labels, info, all);
  const preprocess = (await readPreset(values.preset)) ?? presetFor(info, terminal);
  const { pool, info: opened, module, sha256 } = await openPool(host, { model, taps, preprocess, ...runOptions(values), signal });
  try {
    const collect = async (/** @type {string} */ what, /** @type {any[]} */ images) => {
      const states = [];
      let done = 0;
      const onProgress = () => terminal.progress(what, ++done, images.length);
      for await (const one of collectStates(host, pool, images, { signal, onError: skipped.add, onProgress })) states.push(one.states);
      if (states.length === 0) throw new NacError('NOT_FOUND', `${what}: no image could be read`);
      return states;
    };
    const profileStates = await collect('profile', chosen.images);
    const known = new Set(profileStates.map(({ hash }) => hash));
    const unknown = (/** @type {any[]} */ states) => states.filter(({ hash }) => !known.has(hash));
    const [choosing, calibrating] = [unknown(await collect('held out', halves[0])), unknown(await collect('threshold', halves[1]))];
    if (choosing.length === 0) throw new NacError('MISMATCH', 'every held-out image is in the profile too');

    const sets = values.ood
      ? await Promise.all(values.ood.map(async (/** @type {string} */ path) => ({ name: path, images: balancedOrder(await listImages([path], skipped.add), seed).slice(0, oodLimit) })))
      : madeUp(halves[0], oodLimit, (bytes) => pool.run({ kind: 'decode', bytes }));
    if (!values.ood) terminal.log(`no --ood: searching with outliers made of the images themselves (${KIND_NAMES.join(', ')})`);
    /** @type {any[]} */
    const ood = [];
    for (const { name, images } of sets) ood.push(await collect(name, images));

    const engine = await Engine.create(module);
    const began = performance.now();
    const onProgress = (/** @type {number} */ step, /** @type {number} */ steps) => terminal.progress('searching', step, steps);
    const found = tune(engine, { profile: profileStates, id: choosing, ood }, { onProgress });
    const seconds = (performance.now() - began) / 1000;
    terminal.endProgress();
    const layers = found.layers.map((layer) => profileStates[0].taps[layer]);
    const collector = new Collector(engine, found.settings, profileStates.length);
    for (const states of profileStates) collector.add(statesOfLayers(states, layers));
    const profile = collector.finish();
    const calibrated = await calibrate(engine, profile, calibrating.map((states) => statesOfLayers(states, layers)), falseAlarm);
    const provenance = { command: ['nac', ...argv].join(' '), version: await packageVersion(), tunedWith: values.ood ?? 'synthetic' };
    describeProfile(profile, { modelName: baseName(model), sha256, preprocess: opened.preprocess, labels: labels ?? opened.labels, provenance });
    await addSelfTest(profile, pool);
    await writeOutput(out, [profile.save()]);

    const built = { ...summarise(profile), ...calibrated };
    const { auroc, aurocUnseen, aurocOfDefaults, defaultsKept } = found;
    const rated = sets.map(({ name }, set) => ({ name, images: ood[set].length, ...found.sets[set] }));
    const document = { schema: 'nac.tune/1', model, profile: out, ood: values.ood ?? 'synthetic', auroc, aurocUnseen, aurocOfDefaults, defaultsKept, sets: rated, searchSeconds: seconds, ...built, errors: skipped.errors };
    if (values.json) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    else {
      process.stdout.write(toTable(document));
      describe(out, built, terminal);
    }
    return skipped.errors.length > 0 ? 3 : 0;
  } finally {
    terminal.endProgress();
    pool.close();
  }
}

/** @param {{ sets: any[], auroc: number, aurocUnseen: number, aurocOfDefaults: number, defaultsKept: boolean, searchSeconds: number }} found */
function toTable({ sets, auroc, aurocUnseen, aurocOfDefaults, defaultsKept, searchSeconds }) {
  /** @type {import('./shared/terminal.js').Column[]} */
  const columns = [
    { title: 'AUROC against', width: 30, cut: 'start' },
    { title: 'images', width: 6, align: 'right' },
    { title: 'defaults', width: 8, align: 'right' },
    { title: 'tuned', width: 6, align: 'right' },
    { title: 'without it', width: 10, align: 'right' },
  ];
  const percent = (/** @type {number} */ share) => (100 * share).toFixed(2);
  const mean = { name: 'mean', images: '', auroc, aurocUnseen, aurocOfDefaults };
  const rows = [...sets, mean].map((set) => [set.name, String(set.images), percent(set.aurocOfDefaults), percent(set.auroc), percent(set.aurocUnseen)]);
  const verdict = defaultsKept ? 'the search does no better than the defaults on sets it has not seen: the defaults stay' : 'tuned';
  return `${table(columns, rows)}\n"without it": by a search that has not seen the set; ${verdict} (${searchSeconds.toFixed(1)} s)\n`;
}
