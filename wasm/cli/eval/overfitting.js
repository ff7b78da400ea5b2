// @ts-check
/**
 * Does the profile know its own images better than others of their kind? Their AUROC against fresh in-distribution images is near
 * one half when it does not. Figures measured with profile images as the in-distribution set, as in the method's first version, which
 * its authors withdrew, are good for nothing; this is the alarm.
 */
import { NacError } from '../../js/error.js';
import { ScoreTable, compareSets, profileImages, scoreEach } from '../../js/evaluate.js';
import { runOptions } from './sets.js';

/**
 * Alarm when all of the interval is above it. Not one half: a network tells images that it was trained on from fresh ones a little,
 * which MSP, who knows no profile, shows too.
 */
export const BOUND = 0.6;

/**
 * @param {string[]} paths
 * @param {import('./sets.js').LazyImage[]} images among them, those that the profile was built on
 * @param {import('../../js/evaluate.js').Scores} fresh of in-distribution images that are not in it
 * @param {{ limit?: number, rounds: number, seed: number }} how
 * @param {import('./sets.js').Context} context
 */
export async function checkOverfitting(paths, images, fresh, { limit, rounds, seed }, context) {
  const { detector, terminal, signal, files } = context;
  const known = await profileImages(detector, images, { limit, ...runOptions('looking for profile images', images.length, context) });
  terminal.endProgress();
  if (known.length === 0) throw new NacError('MISMATCH', `${paths.join(', ')}: ${files.profile} was built on none of these images`);
  const table = new ScoreTable();
  for await (const scored of scoreEach(detector, known, runOptions('profile images', known.length, context))) table.add(scored);
  terminal.endProgress();
  const methods = await compareSets(detector, table.finish(), fresh, { rounds, seed, signal });
  return { path: paths.length === 1 ? paths[0] : paths, images: known.length, bound: BOUND, alarm: methods.nac.ci.auroc[0] > BOUND, methods };
}
