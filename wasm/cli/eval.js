// @ts-check
/** nac eval: how well scores tell in-distribution from out-of-distribution images, beside the usual baselines. */
import { compareSets } from '../js/evaluate.js';
import { loadDetector } from '../js/node.js';
import { BOUND, checkOverfitting } from './eval/overfitting.js';
import { writePlots } from './eval/plots.js';
import { collectReferences } from './eval/references.js';
import { flaggedOf, meansOf } from './eval/report.js';
import { chooseImages, scoreImages } from './eval/sets.js';
import { toText } from './eval/table.js';
import { RUN_HELP, RUN_OPTIONS, UsageError, numberOf, required, runOptions } from './shared/args.js';
import { modelAndProfile } from './shared/files.js';
import { checkNumbers } from './shared/self-test.js';
import { makeSkipped } from './shared/skipped.js';

export const summary = 'AUROC, FPR95 and AUPR of a profile and of baselines';

export const help = `
nac eval [--model M.onnx] [--profile P] --id DIR --ood NAME=DIR … [options]

NAC beside MSP, max logit, energy, entropy, GEN and GradNorm from the same run, and with --reference KNN and ViM. Refuses images
that the profile was built or calibrated on, or that are among the references (by their pixels): such figures would mean nothing.

  --id DIR             in-distribution images; where folders are the model's labels, accuracy too
  --ood NAME=DIR       out-of-distribution images; may be given several times
  --near NAME=DIR      the same, and the mean over all that are near
  --far NAME=DIR       the same, and the mean over all that are far
  --reference DIR      in-distribution images to compare features with, those of the profile, say: KNN and ViM
  --reference-limit N  of these, as many of every class (10000)
  --neighbours K       of KNN (50)
  --seen DIR           images that the profile was built on (others there are passed over): AUROC of theirs against the fresh
                       images of --id. Near 50 is healthy; an interval above ${100 * BOUND} is the alarm for a profile that has learned
                       them by heart
  --limit N            the first N of every set, after a shuffle with --seed
  --seed S             of the shuffle and of the bootstrap (0)
  --rounds N           resamples for the 95 % intervals (1000)
  --drop-seen          leave images out that were seen before, instead of refusing
  --plots DIR          SVG files: histograms of scores, and ROC curves of every set
FPR95 is the share of in-distribution images flagged when 95 % of the others are caught (OpenOOD); FPR95id the share of
others accepted when 95 % of in-distribution images are (ODIN). AUPR in/out: with ID/OOD as the positive class.
${RUN_HELP}`;

/** @type {Record<string, import('./shared/args.js').Option>} */
export const options = {
  ...RUN_OPTIONS,
  model: { type: 'string' },
  profile: { type: 'string' },
  id: { type: 'string', multiple: true },
  ood: { type: 'string', multiple: true },
  near: { type: 'string', multiple: true },
  far: { type: 'string', multiple: true },
  reference: { type: 'string', multiple: true },
  'reference-limit': { type: 'string' },
  neighbours: { type: 'string' },
  seen: { type: 'string', multiple: true },
  limit: { type: 'string' },
  seed: { type: 'string' },
  rounds: { type: 'string' },
  'drop-seen': { type: 'boolean' },
  plots: { type: 'string' },
};

/** @type {import('./shared/args.js').Command['run']} */
export async function run({ values, paths }, { terminal, signal }) {
  if (paths.length > 0) throw new UsageError(`${paths[0]}: images are named with --id and --ood`);
  const asked = parseQuestion(values);
  const execution = runOptions(values);
  const { model, profile } = modelAndProfile(values);
  terminal.quiet = Boolean(values.quiet);

  const skipped = makeSkipped(terminal);
  const detector = await loadDetector({ model, profile, ...execution, signal });
  try {
    await checkNumbers(detector, profile, { terminal, signal });
    const { document, scores } = await evaluate({ ...asked, ...execution }, { detector, skipped, terminal, signal, files: { model, profile } });
    const plots = values.plots === undefined ? undefined : await writePlots(values.plots, document, scores);
    const whole = { ...document, ...(plots && { plots }), errors: skipped.errors };
    process.stdout.write(values.json ? `${JSON.stringify(whole, null, 2)}\n` : toText(whole, terminal));
    return skipped.errors.length > 0 ? 3 : 0;
  } finally {
    terminal.endProgress();
    detector.close();
  }
}

/**
 * What is asked for, checked before any file is opened.
 * @param {Record<string, any>} values
 */
function parseQuestion(values) {
  const sets = ['near', 'far', 'ood'].flatMap((option) =>
    (values[option] ?? []).map((/** @type {string} */ text) => {
      const match = /^([^=]+)=(.+)$/.exec(text);
      if (!match) throw new UsageError(`--${option} ${text}: NAME=DIR is needed`);
      return { name: match[1], path: match[2], group: option === 'ood' ? null : option };
    }));
  const twice = sets.find(({ name }, i) => sets.findIndex((other) => other.name === name) !== i);
  if (twice) throw new UsageError(`${twice.name}: two sets have this name`);
  const id = required(values, 'id');
  if (sets.length === 0 && !values.seen) throw new UsageError('--ood (or --near, --far, --seen) is needed');
  if ((values['reference-limit'] || values.neighbours) && !values.reference) throw new UsageError('--reference-limit and --neighbours are for --reference');
  return {
    id,
    sets,
    reference: values.reference,
    seen: values.seen,
    dropSeen: Boolean(values['drop-seen']),
    limit: numberOf(values, 'limit', { min: 1, integer: true }),
    referenceLimit: numberOf(values, 'reference-limit', { min: 1, integer: true }) ?? 10000,
    k: numberOf(values, 'neighbours', { min: 1, max: 1e6, integer: true }) ?? 50,
    seed: numberOf(values, 'seed', { min: 0, integer: true }) ?? 0,
    rounds: numberOf(values, 'rounds', { min: 1, max: 1e6, integer: true }) ?? 1000,
  };
}

/**
 * @param {ReturnType<typeof parseQuestion> & { variant: string }} asked
 * @param {import('./eval/sets.js').Context} context
 */
async function evaluate(asked, context) {
  const { detector, terminal, signal, files } = context;
  const { limit, seed, rounds, dropSeen } = asked;
  // Every folder is looked into before the first network runs.
  const idImages = await chooseImages(asked.id, { limit, seed }, context);
  const setImages = await Promise.all(asked.sets.map(({ path }) => chooseImages([path], { limit, seed }, context)));
  const referenceImages = asked.reference && (await chooseImages(asked.reference, { limit: asked.referenceLimit, seed }, context));
  const seenImages = asked.seen && (await chooseImages(asked.seen, { seed }, context));

  const references = referenceImages && (await collectReferences(referenceImages, asked, context));
  const inside = await scoreImages('id', idImages, { references, dropSeen }, context);
  const sets = [];
  /** @type {Record<string, import('../js/evaluate.js').Scores>} */
  const scores = {};
  for (const [i, { name, path, group }] of asked.sets.entries()) {
    const { images, seen, flagged, scores: outside } = await scoreImages(name, setImages[i], { references, dropSeen }, context);
    scores[name] = outside;
    terminal.progress(`intervals of ${name}`, 0, 1);
    const methods = await compareSets(detector, inside.scores, outside, { rounds, seed, signal });
    terminal.endProgress();
    sets.push({ name, group, path, images, ...(seen && { seen }), ...flaggedOf(flagged, images), methods });
  }
  const overfitting = seenImages && (await checkOverfitting(asked.seen, seenImages, inside.scores, { limit, rounds, seed }, context));
  const { images, accuracy, flagged, seen, features } = inside;
  const { falseAlarm, threshold } = detector.info.profile;
  const path = asked.id.length === 1 ? asked.id[0] : asked.id;
  const document = {
    schema: 'nac.eval/1',
    ...files,
    variant: detector.info.variant,
    threshold,
    id: { path, images, ...(accuracy !== undefined && { accuracy }), ...flaggedOf(flagged, images), falseAlarm, ...(seen && { seen }) },
    features,
    ...(references && { references: { path: asked.reference, images: references.images, k: references.k } }),
    sets,
    means: meansOf(sets),
    ...(overfitting && { overfitting }),
    bootstrap: { rounds, seed },
  };
  return { document, scores: { id: inside.scores, sets: scores } };
}
