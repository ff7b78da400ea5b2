// @ts-check
/** nac eval: how well scores tell in-distribution from out-of-distribution images, beside the usual baselines. */
import { NacError } from '../js/error.js';
import { METHODS, compareSets, scoreSet } from '../js/evaluate.js';
import { loadDetector } from '../js/node.js';
import { balancedOrder } from '../js/subset.js';
import { RUN_HELP, RUN_OPTIONS, UsageError, numberOf, required, runOptions } from './shared/args.js';
import { modelAndProfile } from './shared/files.js';
import { listImages } from './shared/images.js';
import { makeSkipped } from './shared/skipped.js';
import { table } from './shared/terminal.js';

export const summary = 'AUROC, FPR95 and AUPR of a profile and of baselines';

export const help = `
nac eval [--model M.onnx] [--profile P] --id DIR --ood NAME=DIR … [options]

Refuses images that the profile was built or calibrated on (by their pixels): such figures would mean nothing.

  --id DIR             in-distribution images; where folders are the model's labels, accuracy too
  --ood NAME=DIR       out-of-distribution images; may be given several times
  --limit N            the first N of every set, after a shuffle with --seed
  --seed S             of the shuffle and of the bootstrap (0)
  --rounds N           resamples for the 95 % intervals (1000)
  --drop-seen          leave such images out instead of refusing
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
  limit: { type: 'string' },
  seed: { type: 'string' },
  rounds: { type: 'string' },
  'drop-seen': { type: 'boolean' },
};

/** @type {import('./shared/args.js').Command['run']} */
export async function run({ values, paths }, { terminal, signal }) {
  if (paths.length > 0) throw new UsageError(`${paths[0]}: images are named with --id and --ood`);
  const id = required(values, 'id');
  const ood = required(values, 'ood').map(oodSet);
  const seed = numberOf(values, 'seed', { min: 0, integer: true }) ?? 0;
  const rounds = numberOf(values, 'rounds', { min: 1, max: 1e6, integer: true }) ?? 1000;
  const limit = numberOf(values, 'limit', { min: 1, integer: true });
  const { model, profile } = modelAndProfile(values);
  terminal.quiet = Boolean(values.quiet);

  const skipped = makeSkipped(terminal);
  const detector = await loadDetector({ model, profile, ...runOptions(values), signal });
  const context = { detector, skipped, terminal, signal, limit, seed, dropSeen: Boolean(values['drop-seen']), profile };
  try {
    const inside = await scorePaths('id', id, context);
    const sets = [];
    for (const { name, path } of ood) {
      const outside = await scorePaths(name, [path], context);
      const methods = await compareSets(detector, inside.scores, outside.scores, { rounds, seed, signal });
      sets.push({ name, path, images: outside.images, ...(outside.seen && { seen: outside.seen }), flagged: outside.flagged, methods });
    }
    const { images, accuracy, flagged, seen } = inside;
    const document = {
      schema: 'nac.eval/1',
      model,
      profile,
      variant: detector.info.variant,
      id: { path: id.length === 1 ? id[0] : id, images, ...(accuracy !== undefined && { accuracy }), flagged, ...(seen && { seen }) },
      sets,
      bootstrap: { rounds, seed },
      errors: skipped.errors,
    };
    if (values.json) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    else process.stdout.write(toTable(document));
    return skipped.errors.length > 0 ? 3 : 0;
  } finally {
    terminal.endProgress();
    detector.close();
  }
}

/** @param {string} text */
function oodSet(text) {
  const match = /^([^=]+)=(.+)$/.exec(text);
  if (!match) throw new UsageError(`--ood ${text}: NAME=DIR is needed`);
  return { name: match[1], path: match[2] };
}

/**
 * @param {string} name
 * @param {string[]} paths
 * @param {any} context
 */
async function scorePaths(name, paths, { detector, skipped, terminal, signal, limit, seed, dropSeen, profile }) {
  const all = await listImages(paths, skipped.add);
  const images = limit === undefined ? all : balancedOrder(all, seed).slice(0, limit);
  if (images.length === 0) throw new NacError('NOT_FOUND', `${paths.join(', ')}: no PNG or JPEG file there`);
  let done = 0;
  const onProgress = () => terminal.progress(name, ++done, images.length);
  const scored = await scoreSet(detector, images, { dropSeen, signal, onProgress, onError: skipped.add }).catch((error) => {
    throw error?.code === 'MISMATCH' ? new NacError('MISMATCH', `${profile}: ${error.message} (--drop-seen leaves such images out)`) : error;
  });
  terminal.endProgress();
  if (scored.images === 0) throw new NacError('NOT_FOUND', `${paths.join(', ')}: no image is left to evaluate`);
  return scored;
}

/** @param {any} document */
function toTable({ id, sets, bootstrap }) {
  const percent = (/** @type {number} */ share) => (100 * share).toFixed(2);
  /** @type {import('./shared/terminal.js').Column[]} */
  const columns = [
    { title: 'set', width: 14 },
    { title: 'method', width: 8 },
    { title: 'AUROC', width: 6, align: 'right' },
    { title: '95 % CI', width: 13 },
    { title: 'FPR95', width: 6, align: 'right' },
    { title: 'FPR95id', width: 7, align: 'right' },
    { title: 'AUPRin', width: 6, align: 'right' },
    { title: 'out', width: 6, align: 'right' },
  ];
  const rows = sets.flatMap((/** @type {any} */ { name, methods }) =>
    METHODS.map((method, i) => {
      const { auroc, fpr95, fpr95IdPositive, auprIn, auprOut, ci } = methods[method];
      const interval = ci.auroc.map(percent).join('-');
      return [i === 0 ? name : '', method, percent(auroc), interval, ...[fpr95, fpr95IdPositive, auprIn, auprOut].map(percent)];
    }));
  const accuracy = id.accuracy === undefined ? '' : `, accuracy ${percent(id.accuracy)} %`;
  const flagged = id.flagged === null ? '' : `, ${percent(id.flagged)} % flagged`;
  const counts = sets.map((/** @type {any} */ set) => `${set.name} ${set.images}`).join(', ');
  return `${table(columns, rows)}\nin percent; ID ${id.images} images${accuracy}${flagged}; OOD ${counts}; ${bootstrap.rounds} resamples\n`;
}
