// @ts-check
/**
 * Thresholds of the baselines, so that a verdict by coverage can be held against theirs at the same rate of false alarms.
 * A profile keeps them as the metadata "baselines": { falseAlarm, thresholds: { msp, energy, maxLogit } }.
 */

/** @typedef {{ msp: number, energy: number, maxLogit: number }} Baselines all high = in-distribution */
/** @typedef {import('./engine/profile.js').Profile} Profile */

const KEY = 'baselines';
const METHODS = /** @type {const} */ (['msp', 'energy', 'maxLogit']);

/**
 * The rule that nac_profile_calibrate has for coverage: "out" means score < threshold, and that is where the conformal
 * p-value (1 + #{held out <= score}) / (n + 1) is at most falseAlarm.
 * @param {number[]} scores of held-out images
 * @param {number} falseAlarm
 * @returns {number | null} null: too few images to flag any at that rate
 */
export function conformalThreshold(scores, falseAlarm) {
  const rank = Math.floor(falseAlarm * (scores.length + 1)) - 1;
  if (rank < 0) return null;
  return Float64Array.from(scores).sort()[Math.min(rank, scores.length - 1)];
}

/**
 * @param {Profile} profile
 * @param {Baselines[]} held of the images that the profile was calibrated with
 * @param {number} falseAlarm
 */
export function calibrateBaselines(profile, held, falseAlarm) {
  const thresholds = Object.fromEntries(METHODS.map((method) => [method, conformalThreshold(held.map((one) => one[method]), falseAlarm)]));
  profile.setMetadata(KEY, { falseAlarm, thresholds });
}

/**
 * @param {Profile} profile
 * @returns {{ msp: number | null, energy: number | null, maxLogit: number | null } | null} null where it has none, or is not calibrated
 */
export function baselineThresholds(profile) {
  const thresholds = profile.calibrated ? profile.metadata(KEY)?.thresholds : null;
  if (!thresholds || typeof thresholds !== 'object') return null;
  const number = (/** @type {any} */ value) => (Number.isFinite(value) ? value : null);
  return { msp: number(thresholds.msp), energy: number(thresholds.energy), maxLogit: number(thresholds.maxLogit) };
}
