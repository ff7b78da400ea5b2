// @ts-check
/**
 * A picture that every machine can draw, and what it scored where the profile was built: whoever loads the profile can check
 * that this machine's processor, browser and binary compute what that one's did.
 */

/** @typedef {{ pattern: string, score: number, maxLogit: number }} SelfTest */

const PATTERN = 'nac-1';
const SIDE = 64;
// Fused and unfused products differ by about 1e-6 of a logit; broken arithmetic by all of it.
const LOGIT_TOLERANCE = 0.01;
// A state at the edge of a bin can fall into its neighbour: a few neurons in a hundred at most.
const SCORE_TOLERANCE = 0.05;

/** Slopes of colour, a disc and stripes, in whole numbers: no rounding can differ. */
export function testImage() {
  const pixels = new Uint8Array(3 * SIDE * SIDE);
  for (let y = 0; y < SIDE; ++y)
    for (let x = 0; x < SIDE; ++x) {
      const disc = (x - 36) ** 2 + (y - 28) ** 2 < 256;
      const stripe = ((x + 2 * y) >> 3) & 1;
      pixels.set(disc ? [200 - x, 90 + y, 40] : [3 * x, 4 * y, 120 + 60 * stripe], 3 * (y * SIDE + x));
    }
  return { pixels, width: SIDE, height: SIDE };
}

/**
 * @param {number} score
 * @param {number} maxLogit
 * @returns {SelfTest}
 */
export function makeSelfTest(score, maxLogit) {
  return { pattern: PATTERN, score, maxLogit };
}

/**
 * @param {any} expected the profile's "selfTest"
 * @param {{ score: number, baselines: { maxLogit: number } }} result of testImage here
 * @returns {{ ok: boolean, expected: SelfTest, score: number, maxLogit: number } | null} null: the profile has none that is known here
 */
export function checkSelfTest(expected, { score, baselines: { maxLogit } }) {
  if (expected?.pattern !== PATTERN) return null;
  const logitsAgree = Math.abs(maxLogit - expected.maxLogit) <= LOGIT_TOLERANCE * (1 + Math.abs(expected.maxLogit));
  return { ok: logitsAgree && Math.abs(score - expected.score) <= SCORE_TOLERANCE, expected, score, maxLogit };
}

/**
 * What people are told when this machine computes other numbers; null when it does not, or nobody knows.
 * @param {ReturnType<typeof checkSelfTest>} test
 */
export function selfTestWarning(test) {
  if (!test || test.ok) return null;
  const [here, there] = [test, test.expected].map(({ score, maxLogit }) => `score ${score.toFixed(3)}, largest logit ${maxLogit.toFixed(3)}`);
  return `this machine computes other numbers than the one that made the profile: the test picture has ${here}; there it had ${there}`;
}
