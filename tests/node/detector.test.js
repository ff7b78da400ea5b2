// The package as its users call it: detectors, profiles, and scores that depend on the image alone.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import test, { after, before } from 'node:test';
import { pathToFileURL } from 'node:url';
import v8 from 'node:v8';
import vm from 'node:vm';
import { NacError, buildProfile, loadDetector } from '../../wasm/js/node.js';
import { serve } from '../../wasm/js/worker.js';
import { MODULE, makeEngine } from './helpers/engine.js';
import { LABELS, PREPROCESS, encodePng, makeScene, noise } from './helpers/scene.js';

const LAYERS = ['features', 'stage2', 'stage1'];
const COMMON = { variant: 'simd' };
let scene;
let profile;

const lazy = (first, count) => Array.from({ length: count }, (_, i) => ({ name: `${first + i}`, load: async () => encodePng(noise(first + i), 8, 8) }));
const bare = ({ ms, file, ...rest }) => rest;

async function scoreAll(options, images) {
  const detector = await loadDetector({ model: scene.file('tiny.onnx'), profile, ...COMMON, ...options });
  const results = [];
  for await (const result of detector.scoreAll(images)) results.push(result);
  detector.close();
  return results;
}

before(async () => {
  scene = makeScene();
  profile = await buildProfile({ model: scene.file('tiny.onnx'), images: lazy(0, 60), holdout: lazy(500, 40), layers: LAYERS, preprocess: PREPROCESS, ...COMMON });
});
after(() => scene.remove());

test('a result says everything about one image', async () => {
  const detector = await loadDetector({ model: scene.file('tiny.onnx'), profile, ...COMMON });
  const result = await detector.score(encodePng(noise(7), 8, 8));
  detector.close();
  assert.equal(result.schema, 'nac.result/1');
  assert.ok(result.score >= 0 && result.score <= 1);
  assert.equal(result.verdict, result.score < result.threshold ? 'out' : 'in');
  assert.ok(result.pValue > 0 && result.pValue <= 1);
  assert.equal(result.pValue <= 0.05, result.verdict === 'out');
  assert.equal(result.label, LABELS[result.classIndex]);
  assert.equal(result.top.length, 4);
  assert.ok(Math.abs(result.top.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-6);
  assert.equal(result.probability, result.top[0].probability);
  assert.equal(result.baselines.msp, result.probability);
  assert.deepEqual(result.layers.map(({ name, neurons }) => [name, neurons]), [['features', 8], ['stage2', 8], ['stage1', 6]]);
  // The image's score is the mean of its layers', rounded to float32.
  assert.ok(Math.abs(result.layers.reduce((sum, { score }) => sum + score, 0) / 3 - result.score) < 1e-6);
  for (const stage of ['decode', 'preprocess', 'forward', 'backward', 'score']) assert.ok(result.ms[stage] >= 0);
  assert.equal(result.decoder, 'core');
  assert.equal(result.variant, 'simd');
});

test('scores are the same bits in this thread, in one worker and in three, in any order', async () => {
  const images = lazy(2000, 24);
  const inline = (await scoreAll({ workers: 0 }, images)).map(bare);
  assert.ok(new Set(inline.map(({ score }) => score)).size > 5, 'the images must differ for this to mean anything');
  assert.deepEqual((await scoreAll({ workers: 1 }, images)).map(bare), inline);
  assert.deepEqual((await scoreAll({ workers: 3 }, images)).map(bare), inline);
  assert.deepEqual((await scoreAll({ workers: 3 }, [...images].reverse())).map(bare).reverse(), inline);
});

test('results come in the order of the files, and an image that is none has its place among them', async () => {
  const images = [...lazy(10, 5), { name: 'broken', load: async () => new TextEncoder().encode('no image') }, ...lazy(20, 5)];
  const results = await scoreAll({ workers: 2 }, images);
  assert.deepEqual(results.map(({ file }) => file), images.map(({ name }) => name));
  assert.deepEqual(results.map(({ error }) => error?.code), images.map(({ name }) => (name === 'broken' ? 'UNSUPPORTED' : undefined)));
});

test('bytes, a Blob, a File and pixels of one image have one score', async () => {
  const detector = await loadDetector({ model: scene.file('tiny.onnx'), profile, ...COMMON });
  const png = encodePng(noise(9), 8, 8);
  const rgba = new Uint8ClampedArray(256).map((_, i) => (i % 4 === 3 ? 255 : noise(9)[3 * (i >> 2) + (i % 4)]));
  const inputs = [png, png.buffer, new Blob([png]), new File([png], 'nine.png'), { pixels: noise(9), width: 8, height: 8 }, { data: rgba, width: 8, height: 8 }];
  const results = [];
  for (const input of inputs) results.push(await detector.score(input));
  assert.equal(results[3].file, 'nine.png');
  for (const result of results) assert.deepEqual(bare(result), bare(results[0]));
  assert.equal(png.length > 0 && png[0], 0x89, "a caller's bytes stay the caller's");
  await assert.rejects(detector.score('a string'), { code: 'INVALID_ARGUMENT' });
  detector.close();
});

test('a sprite is its tiles', async () => {
  const sprite = new File([readFileSync(scene.file('fresh.8x8.png'))], 'fresh.8x8.png');
  const tiles = await scoreAll({}, [sprite]);
  const alone = await scoreAll({}, lazy(2000, 10));
  assert.deepEqual(tiles.map(bare), alone.map(bare));
  assert.equal(tiles[3].file, 'fresh.8x8.png#8x8:3');
});

test('models and profiles come as path, URL, bytes or Blob; the binary as bytes, module or pair', async () => {
  const bytes = await readFile(scene.file('tiny.onnx'));
  const wasm = await readFile(new URL('../../dist/nac-simd.wasm', import.meta.url));
  const image = encodePng(noise(1), 8, 8);
  const scores = [];
  for (const options of [
    { model: scene.file('tiny.onnx') },
    { model: pathToFileURL(scene.file('tiny.onnx')), wasm },
    { model: new Uint8Array(bytes), wasm: MODULE },
    { model: new Blob([bytes]), wasm: { simd: MODULE } },
  ]) {
    const detector = await loadDetector({ profile, ...COMMON, ...options });
    scores.push((await detector.score(image)).score);
    detector.close();
  }
  assert.deepEqual(scores, Array(4).fill(scores[0]));
});

test('a worker takes its model piece by piece, before or after the binary, of the size that was promised or another', async () => {
  const bytes = new Uint8Array(await readFile(scene.file('tiny.onnx')));
  const image = { bytes: encodePng(noise(1), 8, 8) };
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  const states = async (messages, size) => {
    const told = [];
    let hear;
    serve({ post: (message) => told.push(message), listen: (listener) => (hear = listener) });
    for (const message of messages) {
      void hear(message);
      await turn();
    }
    await hear({ setup: { module: MODULE, variant: 'simd', preprocess: PREPROCESS, ...size } });
    await hear({ id: 0, task: { kind: 'states', image } });
    const { result } = told.pop();
    assert.ok(told.pop().ready);
    return { result, spares: told.map(({ spare }) => spare.byteLength) };
  };
  const [one, two] = [bytes.slice(0, 100), bytes.slice(100)];
  const total = bytes.length;
  const expected = await states([], { model: bytes });
  assert.deepEqual(expected.spares, []);
  for (const [messages, spares] of [
    [[{ module: MODULE }, { piece: one, total }, { piece: two, total }], [100, total - 100]],
    [[{ piece: one, total }, { module: MODULE }, { piece: two, total }], [100, total - 100]],
    [[{ piece: one, total }, { piece: two, total }, { module: MODULE }], []],
    [[{ piece: one, total }, { piece: two, total }], []],
    [[{ module: MODULE }, { piece: one, total: null }, { piece: two, total: null }], []],
    [[{ module: MODULE }, { piece: one, total: 2 * total }, { piece: two, total: 2 * total }], [100, total - 100]],
    [[{ module: MODULE }, { piece: one, total: 150 }, { piece: two, total: 150 }], [100]],
  ]) {
    const got = await states(messages);
    assert.deepEqual(got.spares, spares);
    assert.deepEqual(got.result, expected.result);
  }
  // One that was started in another's place: some pieces, and then all of it.
  assert.deepEqual((await states([{ module: MODULE }, { piece: two, total }], { model: bytes })).result, expected.result);
});

test('a worker keeps nothing of its model but what the session has made of it', async () => {
  const collect = vm.runInNewContext((v8.setFlagsFromString('--expose-gc'), 'gc'));
  const told = [];
  let hear;
  serve({ post: (message) => told.push(message), listen: (listener) => (hear = listener) });
  const feed = (bytes) => {
    void hear({ piece: bytes, total: null }); // as from a server that compresses
    return new WeakRef(bytes);
  };
  const fed = feed(new Uint8Array(await readFile(scene.file('tiny.onnx'))));
  await hear({ setup: { module: MODULE, variant: 'simd', preprocess: PREPROCESS } });
  assert.ok(told.pop().ready);
  await new Promise((resolve) => setTimeout(resolve));
  collect();
  assert.equal(fed.deref(), undefined);
});

test('what does not belong together, or is not there, is refused by name', async () => {
  const load = (options) => loadDetector({ model: scene.file('tiny.onnx'), profile, ...COMMON, ...options });
  await assert.rejects(load({ model: scene.file('other.onnx') }), { name: 'NacError', code: 'MISMATCH' });
  await assert.rejects(load({ model: scene.file('none.onnx') }), { code: 'NOT_FOUND', message: /none\.onnx/ });
  await assert.rejects(load({ model: scene.file('text.png') }), { code: 'MALFORMED', message: /text\.png/ });
  await assert.rejects(load({ profile: scene.file('text.png') }), { name: 'NacError', message: /text\.png/ });
  await assert.rejects(load({ profile: undefined }), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(load({ variant: 'scalar' }), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(load({ wasm: new Uint8Array(8) }), { code: 'UNSUPPORTED' });
});

test('an abort ends loading, scoring and sequences; a closed detector says so', async () => {
  const stopped = AbortSignal.abort(new Error('stop'));
  await assert.rejects(loadDetector({ model: scene.file('tiny.onnx'), profile, ...COMMON, signal: stopped }), { message: 'stop' });
  const detector = await loadDetector({ model: scene.file('tiny.onnx'), profile, ...COMMON });
  await assert.rejects(detector.score(encodePng(noise(1), 8, 8), { signal: stopped }), { message: 'stop' });
  const control = new AbortController();
  let seen = 0;
  await assert.rejects(async () => {
    for await (const _ of detector.scoreAll(lazy(0, 100), { signal: control.signal })) if (++seen === 3) control.abort(new Error('enough'));
  }, { message: 'enough' });
  assert.ok(seen < 100);
  assert.ok((await detector.score(encodePng(noise(1), 8, 8))).score >= 0, 'one aborted sequence does not end the detector');
  detector.close();
  await assert.rejects(detector.score(encodePng(noise(1), 8, 8)), { code: 'CLOSED' });
});

test('an explanation names the least covered neurons and where they look', async () => {
  const detector = await loadDetector({ model: scene.file('tiny.onnx'), profile, ...COMMON });
  const pixels = noise(3);
  const { explanation, layers } = await detector.score(encodePng(pixels, 8, 8), { explain: true });
  assert.equal((await detector.score(encodePng(pixels, 8, 8))).explanation, undefined);
  detector.close();
  assert.deepEqual(explanation.layers.map(({ name }) => name), LAYERS);
  explanation.layers.forEach(({ neurons, coverage: all }, i) => {
    const coverage = neurons.map((neuron) => neuron.coverage);
    assert.deepEqual(coverage, [...coverage].sort((a, b) => a - b));
    assert.ok(coverage[0] <= layers[i].score + 1e-6, 'the least covered neuron is no better than the mean');
    assert.equal(all.length, layers[i].neurons);
    assert.ok(Math.abs(all.reduce((sum, value) => sum + value, 0) / all.length - layers[i].score) < 1e-6, "a layer's score is the mean of its neurons'");
    for (const { neuron, coverage: one } of neurons) assert.equal(all[neuron], one);
    for (const { state, z, g } of neurons) assert.ok(state >= 0 && state <= 1 && Number.isFinite(z * g));
  });
  assert.equal(explanation.layers[0].map, null);
  assert.deepEqual([explanation.layers[2].map.width, explanation.layers[2].map.height], [8, 8]);
  assert.ok(explanation.layers[2].map.values.every((value) => value >= 0));
  // resize to the same size changes nothing, so what the network saw is the image
  assert.deepEqual(explanation.view.pixels, pixels);
});

test('histograms say how often in-distribution images put a neuron where this image did', async () => {
  const detector = await loadDetector({ model: scene.file('tiny.onnx'), profile, ...COMMON });
  const { explanation } = await detector.score(encodePng(noise(3), 8, 8), { explain: true });
  for (const [layer, { neurons }] of explanation.layers.entries()) {
    const { edges, counts } = await detector.histograms(layer, neurons.map(({ neuron }) => neuron));
    const { M, O } = detector.info.profile.layers[layer];
    assert.equal(edges.length, M);
    neurons.forEach(({ bin, state, coverage }, i) => {
      assert.equal(counts[i].length, M - 1);
      assert.equal(counts[i].reduce((sum, count) => sum + count, 0), detector.info.profile.images);
      assert.ok(edges[bin] <= state && state < edges[bin + 1]);
      assert.equal(Math.fround(Math.min(counts[i][bin] / O, 1)), coverage);
    });
  }
  await assert.rejects(detector.histograms(0, [999]), { code: 'INVALID_ARGUMENT', message: /no neuron 999/ });
  await assert.rejects(detector.histograms(9, [0]), { code: 'INVALID_ARGUMENT' });
  detector.close();
});

test('baselines have thresholds that flag as many held-out images as coverage does', async () => {
  const detector = await loadDetector({ model: scene.file('tiny.onnx'), profile, ...COMMON });
  const flagged = { nac: 0, msp: 0, energy: 0, maxLogit: 0 };
  for await (const { score, threshold, baselines, baselineThresholds } of detector.scoreAll(lazy(500, 40))) {
    if (score < threshold) ++flagged.nac;
    for (const method of ['msp', 'energy', 'maxLogit']) if (baselines[method] < baselineThresholds[method]) ++flagged[method];
  }
  // 0.05 of 41 is 2.05: at most one image has a p-value of 2/41 or less, unless there are ties.
  assert.deepEqual(flagged, { nac: 1, msp: 1, energy: 1, maxLogit: 1 });
  detector.close();
  const uncalibrated = await buildProfile({ model: scene.file('tiny.onnx'), images: lazy(0, 20), holdoutFraction: 0, preprocess: PREPROCESS, ...COMMON });
  const other = await loadDetector({ model: scene.file('tiny.onnx'), profile: uncalibrated, ...COMMON });
  assert.equal((await other.score(encodePng(noise(3), 8, 8))).baselineThresholds, null);
  other.close();
});

test('a profile knows its images, its model, its settings, and is the same bytes again', async () => {
  const engine = await makeEngine();
  const opened = engine.openProfile(profile);
  assert.equal(opened.images, 60);
  assert.equal(opened.calibration.length, 40);
  assert.deepEqual(opened.hashCounts, { profile: 60, calibration: 40 });
  assert.deepEqual(opened.metadata('labels'), LABELS);
  assert.equal(opened.metadata('provenance').images, 60);
  assert.match(opened.metadata('model').sha256, /^[0-9a-f]{64}$/);
  assert.ok(opened.layers.every(({ alpha, M, O }) => alpha > 0 && M === 50 && O === 3));
  const again = await buildProfile({ model: scene.file('tiny.onnx'), images: lazy(0, 60), holdout: lazy(500, 40), layers: LAYERS, preprocess: PREPROCESS, workers: 1, ...COMMON });
  assert.deepEqual(again, profile);
});

test('the self-test passes where the profile was built, and in the other binary, and fails when the numbers are others', async () => {
  for (const variant of ['simd', 'relaxed']) {
    const detector = await loadDetector({ model: scene.file('tiny.onnx'), profile, variant });
    const { ok, expected, score } = await detector.selfTest();
    assert.equal(ok, true);
    assert.ok(Math.abs(score - expected.score) < 0.05);
    detector.close();
  }
  const engine = await makeEngine();
  const opened = engine.openProfile(profile);
  const { pattern, score, maxLogit } = opened.metadata('selfTest');
  for (const [selfTest, verdict] of [[{ pattern, score, maxLogit: maxLogit + 0.1 }, false], [{ pattern: 'later', score, maxLogit }, undefined]]) {
    opened.setMetadata('selfTest', selfTest);
    const detector = await loadDetector({ model: scene.file('tiny.onnx'), profile: opened.save(), ...COMMON });
    assert.equal((await detector.selfTest())?.ok, verdict);
    detector.close();
  }
});

test('held-out images come from the images, and those that the profile knows do not calibrate', async () => {
  const engine = await makeEngine();
  const common = { model: scene.file('tiny.onnx'), layers: LAYERS, preprocess: PREPROCESS, ...COMMON };
  const divided = engine.openProfile(await buildProfile({ ...common, images: lazy(0, 50), holdoutFraction: 0.2 }));
  assert.deepEqual(divided.hashCounts, { profile: 40, calibration: 10 });
  const overlapping = engine.openProfile(await buildProfile({ ...common, images: lazy(0, 50), holdout: lazy(40, 30) }));
  assert.deepEqual(overlapping.hashCounts, { profile: 50, calibration: 20 });
  const without = engine.openProfile(await buildProfile({ ...common, images: lazy(0, 50), holdoutFraction: 0 }));
  assert.equal(without.calibrated, false);
});

test('building stops at an unreadable image, or goes on when asked', async () => {
  const images = [...lazy(0, 20), { name: 'broken', load: async () => new Uint8Array(9) }];
  const common = { model: scene.file('tiny.onnx'), images, holdoutFraction: 0, layers: LAYERS, preprocess: PREPROCESS, ...COMMON };
  await assert.rejects(buildProfile(common), NacError);
  const files = [];
  const engine = await makeEngine();
  assert.equal(engine.openProfile(await buildProfile({ ...common, onError: (file) => files.push(file) })).images, 20);
  assert.deepEqual(files, ['broken']);
  await assert.rejects(buildProfile({ ...common, images: [] }), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(buildProfile({ ...common, onError() {}, alpha: [1, 2] }), { code: 'INVALID_ARGUMENT', message: /2 values, but there are 3/ });
});
