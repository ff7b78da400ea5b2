// A whole NAC score (forward, backward to the earliest of four taps, coverage) against onnxruntime-web's forward alone, and with the
// backward written out as inference operators (bench/backward.py), and tfjs's gradients where its backend has them (tfjs.js): one
// process, one thread, same network and input, interleaved A B C A B C after a warm-up. Outputs are compared before anything is timed.
//
// The share of the peak is of plain multiply-adds (peak.js), as which Winograd's convolutions and those that leave out zeros are counted, too.
//
// And the memory that it takes: an engine's whole WebAssembly memory, at its highest (it never shrinks), beside the model's bytes and
// what the plan keeps of activations and gradients.
import { readFileSync } from 'node:fs';
import { host } from '../wasm/js/host-node.js';
import { SIZE, ensureSame, makeInput, openOurs, outputsOf, race, tapsOf, toNhwc } from './contest.js';
import { measurePeak } from './peak.js';
import { exportModels, folder, installPeers, openOnnxRuntime } from './peers.js';
import { summarise } from './report.js';
import { openTfjs, runsOnTfjs } from './tfjs.js';

async function compile(variant) {
  host.prepare(variant);
  return WebAssembly.compile(readFileSync(host.wasm(variant)));
}

async function measure(name, file, rounds) {
  const bytes = readFileSync(file);
  const nchw = makeInput();
  const nhwc = toNhwc(nchw);
  const taps = tapsOf(name);
  const relaxed = await openOurs(await compile('relaxed'), bytes, taps, nhwc);
  const simd = await openOurs(await compile('simd'), bytes, taps, nhwc);
  const dims = [1, 3, SIZE, SIZE];
  const peer = await openOnnxRuntime(bytes, dims);
  const peerBackward = await openOnnxRuntime(readFileSync(file.replace(/\.onnx$/, '.backward.onnx')), dims);

  const tfjs = runsOnTfjs(file) ? await openTfjs(folder, file, taps, SIZE) : null;

  const expected = { logits: (await peer(nchw))[0], gradients: (await peerBackward(nchw)).slice(1) };
  for (const ours of [relaxed, simd]) {
    ours.score();
    ensureSame('nac', outputsOf(ours), expected);
  }
  if (tfjs) {
    const [logits, ...gradients] = await tfjs(nhwc);
    ensureSame('tfjs', { logits, gradients }, expected);
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
  const times = await race(contestants, rounds);
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
    const [min, median] = summarise(list);
    const gflops = (2 * macs) / min / 1e6;
    return [name, what, min, median, min / base, gflops, gflops / peaks[what.includes('relaxed') ? 'relaxed' : 'simd']];
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
