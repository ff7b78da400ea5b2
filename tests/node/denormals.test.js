// Numbers below 2^-126 take some processors a hundred times as long, and WebAssembly cannot switch that off: core/src/graph/tiny.c keeps
// them away from weights. One network, whose first layers make activations of a usual size or such ones, and whose last layers
// do the same to gradients.
import assert from 'node:assert/strict';
import test from 'node:test';
import { random } from '../../wasm/js/subset.js';
import { makeEngine } from './helpers/engine.js';
import { int, ints, modelOf, node, tensor, value } from './helpers/onnx.js';

const CHANNELS = 32;
const SIDE = 32;
const BIAS = [1, 2, 3, -4];

/** Nine convolutions (3x3, 1x1, depthwise) that keep the size of what they get, between two and two that have `gains`. */
function network([first, last]) {
  const next = random(1);
  const parts = [];
  let x = 'x';
  const convolution = (inputs, kernel, gain, group = 1) => {
    const name = `c${parts.length}`;
    const fan = (kernel * kernel * inputs) / group;
    const weights = Float32Array.from({ length: CHANNELS * fan }, () => (2 * next() - 1) * gain * Math.sqrt(6 / fan));
    parts.push(tensor(`w${name}`, [CHANNELS, inputs / group, kernel, kernel], weights));
    parts.push(node('Conv', [x, `w${name}`], name, ints('pads', Array(4).fill(kernel >> 1)), int('group', group)), node('Relu', [name], `r${name}`));
    x = `r${name}`;
    return x;
  };
  convolution(3, 3, first);
  const taps = [convolution(CHANNELS, 1, first)];
  for (let i = 0; i < 3; ++i) taps.push((convolution(CHANNELS, 3, 1), convolution(CHANNELS, 1, 1), convolution(CHANNELS, 3, 1, CHANNELS)));
  convolution(CHANNELS, 1, last);
  convolution(CHANNELS, 3, last);
  const dense = Float32Array.from({ length: 4 * CHANNELS }, () => 2 * next() - 1);
  parts.push(node('GlobalAveragePool', [x], 'p'), node('Flatten', ['p'], 'f'), node('Gemm', ['f', 'dense', 'bias'], 'y', int('transB', 1)));
  parts.push(tensor('dense', [4, CHANNELS], dense), tensor('bias', [4], Float32Array.from(BIAS)));
  return { bytes: modelOf([...parts, value(11, 'x', ['N', 3, SIDE, SIDE]), value(12, 'y', ['N', 4])]), taps: taps.map((name) => ({ name, pool: 'sum' })) };
}

/** @param {import('../../wasm/js/engine.js').Engine} engine @param {[number, number]} gains */
function open(engine, gains) {
  const { bytes, taps } = network(gains);
  const model = engine.openModel(bytes);
  const session = engine.createSession(model, { height: SIDE, width: SIDE, taps });
  model.close();
  session.input().set(Float32Array.from({ length: 3 * SIDE * SIDE }, (_, i) => Math.sin(i)));
  return session;
}

/** Least processor time in microseconds of some rounds, and of all sessions in turn. */
function measure(sessions, what) {
  const best = sessions.map(() => Infinity);
  for (let round = 0; round < 8; ++round)
    sessions.forEach((session, i) => {
      const before = process.cpuUsage();
      for (let run = 0; run < 3; ++run) session[what]();
      best[i] = Math.min(best[i], process.cpuUsage(before).user / 3);
    });
  return best;
}

test('a network of denormal activations and gradients does not take ten times as long', async (context) => {
  const engine = await makeEngine();
  // Activations of 1e-40 behind the first two layers; gradients of 1e-39 in front of the last two.
  const sessions = [[1, 1], [1e-20, 1], [1, 1e-18]].map((gains) => open(engine, gains));
  for (const session of sessions) for (const what of ['forward', 'backward']) session[what]();
  const smallest = (numbers) => numbers.reduce((least, x) => (x !== 0 && Math.abs(x) < least ? Math.abs(x) : least), Infinity);
  assert.ok(smallest(sessions[1].z(0)) < 1e-27 && smallest(sessions[2].g(0)) < 1e-27, 'the numbers are small');
  const forward = measure(sessions, 'forward');
  const backward = measure(sessions, 'backward');
  const ratios = { forward: forward[1] / forward[0], backward: backward[2] / backward[0] };
  context.diagnostic(`forward ${(forward[0] / 1000).toFixed(1)} ms, denormal ${ratios.forward.toFixed(1)} times that; backward ${(backward[0] / 1000).toFixed(1)} ms, ${ratios.backward.toFixed(1)} times`);
  assert.ok(ratios.forward < 10 && ratios.backward < 10, JSON.stringify(ratios));
  // What such activations add to a bias is nothing that a float keeps.
  assert.deepEqual([...sessions[1].logits()].slice(0, 4), BIAS);
  sessions.forEach((session) => session.close());
});

test('what is tiny keeps its gate, and no state is another for it', async () => {
  const engine = await makeEngine();
  const [plain, small] = [[1, 1], [1e-20, 1]].map((gains) => open(engine, gains));
  for (const session of [plain, small]) {
    session.forward();
    session.backward();
  }
  // The network has no other bias than the last, so scaling its first layers moves none of their rectifiers.
  assert.deepEqual(Array.from(small.z(0), (x) => x > 0), Array.from(plain.z(0), (x) => x > 0));
  assert.ok(plain.z(0).some((x) => x > 0));
  // Which neuron is active where nothing is larger than 1e-30 may change further down. No state sees it: sigmoid(alpha z g) is 1/2.
  small.taps.forEach((_, tap) => {
    const g = small.g(tap);
    assert.ok(small.z(tap).every((z, neuron) => Math.abs(z * g[neuron]) < 1e-24));
  });
  plain.close();
  small.close();
});
