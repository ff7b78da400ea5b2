// @ts-check
/** nac merge: the profile of all shards' images, and its threshold. */
import { calibrateBaselines } from '../js/baselines.js';
import { NacError } from '../js/error.js';
import { readBytes } from '../js/host-node.js';
import { loadDetector } from '../js/node.js';
import { inOrder } from '../js/pool.js';
import { RUN_HELP, RUN_OPTIONS, UsageError, numberOf, required, runOptions } from './shared/args.js';
import { named, packageVersion, writeOutput } from './shared/files.js';
import { listImages } from './shared/images.js';
import { makeEngine } from './shared/model.js';
import { makeSkipped } from './shared/skipped.js';

export const summary = 'Add profiles of shards';

export const help = `
nac merge P1 P2 … --out P [--model M.onnx --holdout DIR]

Counts are added: the result is bit for bit the profile of all images. A threshold belongs to the counts it was measured on,
so the merged profile has none unless --holdout names images to measure it anew.

  --model M.onnx       to score the held-out images with
  --holdout DIR        images for the threshold; those that are in the profile too are left out
  --false-alarm RATE   share of in-distribution images that the threshold flags (0.05)
  --out P              ${RUN_HELP}`;

/** @type {Record<string, import('./shared/args.js').Option>} */
export const options = {
  ...RUN_OPTIONS,
  model: { type: 'string' },
  holdout: { type: 'string', multiple: true },
  'false-alarm': { type: 'string' },
  out: { type: 'string' },
};

/** @type {import('./shared/args.js').Command['run']} */
export async function run({ values, paths }, { terminal, signal, argv }) {
  const out = required(values, 'out');
  if (paths.length === 0) throw new UsageError('merge needs profiles');
  if (Boolean(values.model) !== Boolean(values.holdout)) throw new UsageError('--model and --holdout go together');
  const falseAlarm = numberOf(values, 'false-alarm', { min: 0, max: 1 }) ?? 0.05;
  terminal.quiet = Boolean(values.quiet);

  const engine = await makeEngine();
  const [first, ...others] = paths;
  const merged = await named(first, async () => engine.openProfile(await readBytes(first, { kind: 'profile' })));
  for (const file of others) {
    const other = await named(file, async () => engine.openProfile(await readBytes(file, { kind: 'profile' })));
    await named(file, async () => merged.merge(other));
    other.close();
  }
  const provenance = { images: merged.images, command: ['nac', ...argv].join(' '), version: await packageVersion(), parts: paths.length };
  merged.setMetadata('provenance', provenance);

  const skipped = makeSkipped(terminal);
  if (values.holdout) await calibrate(merged, values, { falseAlarm, skipped, terminal, signal });
  await writeOutput(out, [merged.save()]);
  const { images, layers, threshold, calibrated } = merged;
  const document = { schema: 'nac.profile/1', profile: out, images, layers, threshold: calibrated ? threshold : null, errors: skipped.errors };
  if (values.json) process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  else terminal.log(`${out}: ${images} images of ${paths.length} profiles, ${calibrated ? `threshold ${threshold.toFixed(4)}` : 'not calibrated'}`);
  return skipped.errors.length > 0 ? 3 : 0;
}

/**
 * @param {import('../js/engine/profile.js').Profile} profile
 * @param {Record<string, any>} values
 * @param {{ falseAlarm: number, skipped: ReturnType<typeof makeSkipped>, terminal: any, signal: AbortSignal }} context
 */
async function calibrate(profile, values, { falseAlarm, skipped, terminal, signal }) {
  const images = await listImages(values.holdout, skipped.add);
  const detector = await loadDetector({ model: values.model, profile: profile.save(), ...runOptions(values), signal });
  const scores = [];
  const classes = [];
  const baselines = [];
  const hashes = [];
  try {
    const work = (/** @type {any} */ image) =>
      detector.scoreTask(image, { hash: true, signal }).catch((error) => {
        signal.throwIfAborted();
        if (!(error instanceof NacError)) throw error;
        skipped.add(image.name, error);
        return null;
      });
    let done = 0;
    for await (const scored of inOrder(images, work, detector.window)) {
      terminal.progress('calibrating', ++done, images.length);
      if (!scored || scored.use === 'profile') continue;
      scores.push(scored.result.score);
      classes.push(scored.result.classIndex);
      baselines.push(scored.result.baselines);
      hashes.push(/** @type {bigint} */ (scored.hash));
    }
  } finally {
    terminal.endProgress();
    detector.close();
  }
  if (scores.length === 0) throw new NacError('NOT_FOUND', `${values.holdout.join(', ')}: no image there that is not in the profile`);
  profile.calibrate(scores, classes, falseAlarm);
  calibrateBaselines(profile, baselines, falseAlarm);
  profile.addHashes(hashes, 'calibration');
}
