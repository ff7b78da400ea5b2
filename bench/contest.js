// What a contest between runtimes is made of, in Node and in a page alike: the input, our side of it, the comparison of outputs, the race.
import { Engine } from '../wasm/js/engine.js';

export const SIZE = 224;
const WARM_UPS = 2;

/** A smooth picture with some noise, [1, 3, SIZE, SIZE], the same every time. */
export function makeInput() {
  const nchw = new Float32Array(3 * SIZE * SIZE);
  let seed = 12345;
  for (let c = 0, i = 0; c < 3; c++)
    for (let y = 0; y < SIZE; y++)
      for (let x = 0; x < SIZE; x++, i++) {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        nchw[i] = Math.sin(x / (20 + 5 * c)) + Math.cos(y / (30 - 5 * c)) + (seed / 2 ** 32 - 0.5) * 0.2;
      }
  return nchw;
}

export function toNhwc(nchw) {
  const nhwc = new Float32Array(nchw.length);
  const pixels = SIZE * SIZE;
  for (let p = 0; p < pixels; p++) for (let c = 0; c < 3; c++) nhwc[3 * p + c] = nchw[c * pixels + p];
  return nhwc;
}

export const tapsOf = (name) =>
  name.startsWith('resnet') ? ['avgpool', 'layer3', 'layer2', 'layer1'] : ['features.18', 'features.13', 'features.6', 'features.3'];

/** One of our two binaries, compiled, with a session and a profile of that network. */
export async function openOurs(module, bytes, taps, nhwc) {
  const engine = await Engine.create(module);
  const model = engine.openModel(bytes);
  const session = engine.createSession(model, { batch: 1, height: SIZE, width: SIZE, taps: taps.map((name) => ({ name, pool: 'sum' })), closeModel: true });
  const profile = engine.createProfile(session.taps.map((tap) => ({ ...tap, alpha: 1, M: 50, O: 50 })));
  const step = () => {
    session.input(0).set(nhwc);
    session.forward();
  };
  return {
    session,
    engine,
    forward: step,
    score: () => {
      step();
      session.backward();
      return profile.scoreSession(session).scores[0];
    },
  };
}

/** |a - b| / |b|. A largest difference would be ruled by the few ReLU masks that a rounding error turns. */
function relativeDifference(a, b) {
  const norm = (list) => Math.sqrt(list.reduce((sum, value) => sum + value * value, 0));
  return norm(Array.from(a, (value, i) => value - b[i])) / norm(Array.from(b));
}

/**
 * Throws where outputs are not the peers': the logits, and every tap's gradient summed over H and W.
 * @param {string} who
 * @param {{ logits: Float32Array, gradients: Float32Array[] }} its
 * @param {{ logits: Float32Array, gradients: Float32Array[] }} expected
 */
export function ensureSame(who, its, expected) {
  const difference = relativeDifference(its.logits, expected.logits);
  if (!(difference < 1e-4)) throw new Error(`logits of ${who} differ from onnxruntime-web's by ${difference} (relative)`);
  for (const [i, gradient] of expected.gradients.entries()) {
    const off = relativeDifference(its.gradients[i], gradient);
    if (!(off < 5e-2)) throw new Error(`gradient ${i} of ${who} differs from onnxruntime-web's by ${off} (relative)`);
  }
}

/** After a first score. */
export const outputsOf = ({ session }) => ({ logits: session.logits(), gradients: session.taps.map((_, i) => session.g(i)) });

/** Milliseconds of every run, the contestants taking turns. @param {Record<string, () => unknown>} contestants */
export async function race(contestants, rounds) {
  const times = Object.fromEntries(Object.keys(contestants).map((key) => [key, []]));
  for (let round = -WARM_UPS; round < rounds; round++) {
    for (const [key, run] of Object.entries(contestants)) {
      const start = performance.now();
      await run();
      if (round >= 0) times[key].push(performance.now() - start);
    }
  }
  return times;
}
