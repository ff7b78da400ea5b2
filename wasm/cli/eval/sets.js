// @ts-check
/** Sets of images named on the command line, run through the package's evaluation with a progress bar. */
import { NacError } from '../../js/error.js';
import { scoreSet } from '../../js/evaluate.js';
import { balancedOrder } from '../../js/subset.js';
import { listImages } from '../shared/images.js';

/**
 * @typedef {object} Context
 * @property {import('../../js/detector.js').Detector} detector
 * @property {ReturnType<typeof import('../shared/skipped.js').makeSkipped>} skipped
 * @property {import('../shared/terminal.js').Terminal} terminal
 * @property {AbortSignal} signal
 * @property {{ model: string, profile: string }} files
 * @typedef {import('../shared/images.js').LazyImage} LazyImage
 */

/**
 * The images below the paths: the first of a shuffle that is balanced between folders.
 * @param {string[]} paths
 * @param {{ limit?: number, seed: number }} how
 * @param {Context} context
 */
export async function chooseImages(paths, { limit, seed }, { skipped }) {
  const all = await listImages(paths, skipped.add);
  if (all.length === 0) throw new NacError('NOT_FOUND', `${paths.join(', ')}: no PNG or JPEG file there`);
  return balancedOrder(all, seed).slice(0, limit);
}

/**
 * Options for a run of the package's over so many images.
 * @param {string} what for the progress bar
 * @param {number} total
 * @param {Context} context
 */
export function runOptions(what, total, { skipped, terminal, signal }) {
  let done = 0;
  return { signal, onError: skipped.add, onProgress: () => terminal.progress(what, ++done, total) };
}

/**
 * @param {string} what
 * @param {LazyImage[]} images
 * @param {{ references?: import('../../js/evaluate.js').References, dropSeen: boolean }} how
 * @param {Context} context
 */
export async function scoreImages(what, images, how, context) {
  const { detector, terminal, files } = context;
  const scored = await scoreSet(detector, images, { ...how, ...runOptions(what, images.length, context) }).catch((error) => {
    throw error?.code === 'MISMATCH' ? new NacError('MISMATCH', `${files.profile}: ${error.message} (--drop-seen leaves such images out)`) : error;
  });
  terminal.endProgress();
  if (scored.images === 0) throw new NacError('NOT_FOUND', `${what}: no image is left to evaluate`);
  return scored;
}
