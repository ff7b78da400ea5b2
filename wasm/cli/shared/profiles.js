// @ts-check
/** What `nac profile` and `nac tune` share: which images, which labels, and what to say at the end. */
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
 * @param {any} info of the model
 * @param {import('./images.js').LazyImage[]} images
 */
export function labelsFor(info, images) {
  if (Array.isArray(info.labels) && info.labels.length > 0) return undefined; // the package takes them
  const groups = groupsOf(images);
  const classes = info.outputs?.[0]?.dims?.at(-1);
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
  else terminal.log(`  threshold ${built.threshold.toFixed(4)} for ${100 * built.falseAlarm} % false alarms, from ${built.calibration} held-out images`);
}
