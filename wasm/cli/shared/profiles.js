// @ts-check
/** What `nac profile` and `nac tune` share: which images, which labels, and what to say at the end. */
import { NacError } from '../../js/error.js';
import { readBytes } from '../../js/host-node.js';
import { defaultPreset } from '../../js/inspect.js';
import { balancedOrder } from '../../js/subset.js';
import { groupsOf } from './images.js';

/**
 * Balanced between classes. With a limit the held-out images come from the rest, in the proportion that was asked for.
 * @template {{ group?: string }} T
 * @param {T[]} all
 * @param {{ limit: number | undefined, fraction: number, seed: number }} how
 */
export function choose(all, { limit, fraction, seed }) {
  const order = balancedOrder(all, seed);
  const count = limit ?? order.length - Math.round(order.length * fraction);
  const held = limit === undefined ? order.length - count : Math.round((limit * fraction) / (1 - fraction));
  return { images: order.slice(0, count), holdout: order.slice(count, count + held) };
}

/**
 * Names of the classes in the order of the logits: those of a file, one a line; else undefined where the model
 * has its own, which the package takes; else the folders of the images, where there are as many as classes.
 * @param {string | undefined} file
 * @param {any} info of the model
 * @param {import('./images.js').LazyImage[]} images
 */
export async function labelsFor(file, info, images) {
  const classes = info.outputs?.[0]?.dims?.at(-1);
  if (file !== undefined) {
    const lines = new TextDecoder().decode(await readBytes(file)).replace(/\s+$/, '').split(/\r?\n/);
    if (classes > 0 && lines.length !== classes) throw new NacError('MISMATCH', `${file}: names of ${lines.length} classes, and the model has ${classes}`);
    return lines;
  }
  if (Array.isArray(info.labels) && info.labels.length > 0) return undefined;
  const groups = groupsOf(images);
  return groups?.length === classes ? groups : undefined;
}

/** @param {any} info @param {import('./terminal.js').Terminal} terminal */
export function presetFor(info, terminal) {
  const preset = defaultPreset(info);
  terminal.log(`preprocessing: ${preset} (--preset chooses another)`);
  return preset;
}

/** @param {string} out @param {any} built @param {import('./terminal.js').Terminal} terminal */
export function describe(out, built, terminal) {
  terminal.log(`${out}: ${built.images} images`);
  for (const { name, pool, neurons, alpha, M, O } of built.layers)
    terminal.log(`  ${name}=${pool}: ${neurons} neurons, alpha ${Number(alpha.toPrecision(4))}, ${M} edges, filled by ${O}`);
  if (built.repeated > 0) terminal.log(`  ${built.repeated} held-out images are in the profile too and were left out`);
  if (built.threshold === null) terminal.log('  not calibrated: scores, but no verdicts');
  else if (built.threshold === 0) terminal.log(`  nothing will be called out: ${tooFew(built)}`);
  else terminal.log(`  threshold ${built.threshold.toFixed(4)} for ${100 * built.falseAlarm} % false alarms, from ${built.calibration} held-out images`);
}

/**
 * A conformal p-value is at least 1 / (n + 1), so that few held-out images cannot keep a promise of few false alarms.
 * @param {{ falseAlarm: number, calibration: number }} built
 */
function tooFew({ falseAlarm, calibration }) {
  return `${100 * falseAlarm} % false alarms take at least ${Math.ceil(1 / falseAlarm - 1e-9) - 1} held-out images, and there are ${calibration}`;
}
