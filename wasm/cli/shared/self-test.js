// @ts-check
/** Whether this machine computes what the one did that made the profile. */
import { selfTestWarning } from '../../js/selftest.js';

/**
 * Says so on standard error where it does not.
 * @param {import('../../js/detector.js').Detector} detector
 * @param {string} profile its file's name
 * @param {{ terminal: import('./terminal.js').Terminal, signal?: AbortSignal }} context
 */
export async function checkNumbers(detector, profile, { terminal, signal }) {
  // A picture that cannot be scored is no news: the images that follow say why.
  const test = await detector.selfTest({ signal }).catch(() => null);
  const warning = selfTestWarning(test);
  if (warning) terminal.log(`${profile}: ${warning}`);
}
