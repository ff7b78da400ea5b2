// A whole NAC score (forward, backward to the earliest of four taps, coverage) against onnxruntime-web's forward alone, and with the
// backward written out as inference operators (bench/backward.py), and tfjs's gradients where its backend has them (tfjs.js): one
// process, one thread, same network and input, interleaved A B C A B C after a warm-up. Outputs are compared before anything is timed.
//
// The share of the peak is of plain multiply-adds (peak.js), as which Winograd's convolutions are counted, too.
//
// And the memory that it takes: an engine's whole WebAssembly memory, at its highest (it never shrinks), beside the model's bytes and
// what the plan keeps of activations and gradients.
import { readFileSync } from 'node:fs';
import { Engine } from '../wasm/js/engine.js';
import { host } from '../wasm/js/host-node.js';
import { measurePeak } from './peak.js';
import { exportModels, folder, installPeers, openOnnxRuntime } from './peers.js';
import { openTfjs, runsOnTfjs } from './tfjs.js';

const SIZE = 224;
const WARM_UPS = 2;

/** A smooth picture with some noise, [1, 3, SIZE, SIZE], the same every time. */
function makeInput() {
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

function toNhwc(nchw) {
  const nhwc = new Float32Array(nchw.length);
  const pixels = SIZE * SIZE;
  for (let p = 0; p < pixels; p++) for (let c = 0; c < 3; c++) nhwc[3 * p + c] = nchw[c * pixels + p];
  return nhwc;
}

/** One of our two binaries with a session and a profile of that network. */
async function openOurs(variant, bytes, taps, nhwc) {
  host.prepare(variant);
  const module = await WebAssembly.compile(readFileSync(host.wasm(variant)));
  const engine = await Engine.create(module);
  const model = engine.openModel(bytes);
  const session = engine.createSession(model, { batch: 1, height: SIZE, width: SIZE, taps: taps.map((name) => ({ name, pool: 'sum' })) });
  model.close();
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

const median = (times) => [...times].sort((a, b) => a - b)[times.length >> 1];

async function measure(name, file, rounds) {
  const bytes = readFileSync(file);
  const nchw = makeInput();
  const nhwc = toNhwc(nchw);
  const taps = name.startsWith('resnet') ? ['avgpool', 'layer3', 'layer2', 'layer1'] : ['features.18', 'features.13', 'features.6', 'features.3'];
  const relaxed = await openOurs('relaxed', bytes, taps, nhwc);
  const simd = await openOurs('simd', bytes, taps, nhwc);
  const dims = [1, 3, SIZE, SIZE];
  const peer = await openOnnxRuntime(bytes, dims);
  const peerBackward = await openOnnxRuntime(readFileSync(file.replace(/\.onnx$/, '.backward.onnx')), dims);

  const tfjs = runsOnTfjs(file) ? await openTfjs(folder, file, taps, SIZE) : null;

  const expected = (await peer(nchw))[0];
  const gradients = (await peerBackward(nchw)).slice(1);
  const agree = (who, logits, gradientOf) => {
    const difference = relativeDifference(logits, expected);
    if (!(difference < 1e-4)) throw new Error(`${name}: logits of ${who} differ from onnxruntime-web's by ${difference} (relative)`);
    for (const [i, tap] of taps.entries()) {
      const off = relativeDifference(gradientOf(i), gradients[i]);
      if (!(off < 5e-2)) throw new Error(`${name}: the gradient of ${who} at ${tap} differs from onnxruntime-web's by ${off} (relative)`);
    }
  };
  for (const ours of [relaxed, simd]) {
    ours.score();
    agree('nac', ours.session.logits(), (i) => ours.session.g(i));
  }
  if (tfjs) {
    const [logits, ...theirs] = await tfjs(nhwc);
    agree('tfjs', logits, (i) => theirs[i]);
  }

  const contestants = {
    'onnxruntime-web forward': () => peer(nchw),
    'onnxruntime-web with backward': () => peerBackward(nchw),
    'nac score (relaxed)': () => relaxed.score(),
    'nac score (simd)': () => simd.score(),
    'nac forward (relaxed)': () => relaxed.forward(),
    'nac forward (simd)': () => simd.forward(),
    ...(tfjs && { 'tfjs-wasm with backward': () => tfjs(nhwc) }),
  };
  const times = Object.fromEntries(Object.keys(contestants).map((key) => [key, []]));
  for (let round = -WARM_UPS; round < rounds; round++) {
    for (const [key, run] of Object.entries(contestants)) {
      const start = performance.now();
      await run();
      if (round >= 0) times[key].push(performance.now() - start);
    }
  }
  return { times, memory: memoryOf(name, bytes.length, relaxed), info: relaxed.session.info };
}

function memoryOf(name, modelBytes, { engine, session }) {
  const { arenaBytes } = session.info;
  const least = modelBytes + arenaBytes;
  return [name, engine.memoryBytes, modelBytes, arenaBytes, (engine.memoryBytes - arenaBytes) / modelBytes, engine.memoryBytes / least];
}

/** @param {Record<string, number>} peaks GFLOP/s of this core by variant; onnxruntime-web's binary is plain SIMD */
function speedOf(name, times, { macsForward, macsBackward }, peaks) {
  const base = Math.min(...times['onnxruntime-web forward']);
  return Object.entries(times).map(([what, list]) => {
    const macs = /score|backward/.test(what) ? macsForward + macsBackward : macsForward;
    const min = Math.min(...list);
    const gflops = (2 * macs) / min / 1e6;
    return [name, what, min, median(list), min / base, gflops, gflops / peaks[what.includes('relaxed') ? 'relaxed' : 'simd']];
  });
}

/**
 * @param {{ names: string[], rounds: number }} options
 * @returns {Promise<import('./report.js').Table[]>}
 */
export async function measureNetworks({ names, rounds }) {
  installPeers();
  const files = exportModels(names);
  const speed = [];
  const memory = [];
  for (const [i, name] of names.entries()) {
    const measured = await measure(name, files[i], rounds);
    const peaks = { relaxed: await measurePeak('relaxed'), simd: await measurePeak('simd') };
    speed.push(...speedOf(name, measured.times, measured.info, peaks));
    memory.push(measured.memory);
  }
  return [
    { name: 'networks', columns: ['model', 'what', 'min ms', 'median ms', 'of onnxruntime-web forward', 'GFLOP/s', 'of the peak'], rows: speed },
    { name: 'memory', columns: ['model', 'peak bytes', 'model bytes', 'activation bytes', 'peak without activations / model', 'peak / (model + activations)'], rows: memory },
  ];
}
