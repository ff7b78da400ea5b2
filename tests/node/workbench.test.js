// The workbench and evaluations: states are collected once, and every setting is measured on them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test, { after, before } from 'node:test';
import { buildProfile, compareSets, loadDetector, openWorkbench, scoreSet } from '../../wasm/js/node.js';
import { inspect } from '../../wasm/js/inspect.js';
import { KIND_NAMES } from '../../wasm/js/synthetic.js';
import { makeEngine } from './helpers/engine.js';
import { PREPROCESS, encodePng, makeScene, noise } from './helpers/scene.js';

const LAYERS = ['features', 'stage2', 'stage1'];
const COMMON = { variant: 'simd', workers: 1 };
const lazy = (first, count) => Array.from({ length: count }, (_, i) => ({ name: `${first + i}`, load: async () => encodePng(noise(first + i), 8, 8) }));
// All of one colour: far from noise.
const flat = (count) => Array.from({ length: count }, (_, i) => ({ name: `flat ${i}`, load: async () => encodePng(new Uint8Array(192).fill(5 * i), 8, 8) }));
let scene;
before(() => (scene = makeScene()));
after(() => scene.remove());

test('what a workbench saves is what buildProfile builds of the same images and settings, and its measurements are the detector’s', async () => {
  const model = readFileSync(scene.file('tiny.onnx'));
  const bench = await openWorkbench({ model, layers: LAYERS, preprocess: PREPROCESS, ...COMMON });
  await bench.collect('profile', lazy(0, 60));
  await bench.collect('held', lazy(500, 80));
  await bench.collect('ood', flat(30));
  assert.deepEqual(bench.counts, { profile: 60, held: 80, ood: 30 });
  const settings = bench.defaults();
  const measured = await bench.measure(settings, 0.1);
  const bytes = await bench.save(settings, { falseAlarm: 0.1 });
  bench.close();

  const even = lazy(500, 80).filter((_, i) => i % 2 === 0);
  const odd = lazy(500, 80).filter((_, i) => i % 2 === 1);
  const built = await buildProfile({ model, images: lazy(0, 60), holdout: odd, layers: LAYERS, preprocess: PREPROCESS, falseAlarm: 0.1, ...COMMON });
  assert.deepEqual(Buffer.from(bytes), Buffer.from(built));
  const detector = await loadDetector({ model, profile: bytes, ...COMMON });
  const [id, ood] = [await scoreSet(detector, even), await scoreSet(detector, flat(30))];
  assert.deepEqual(measured.id, id.scores.nac);
  assert.deepEqual(measured.ood, ood.scores.nac);
  assert.deepEqual(measured.calibration, detector.info.profile.calibration);
  assert.equal(measured.threshold, detector.info.profile.threshold);
  const methods = await compareSets(detector, id.scores, ood.scores, { rounds: 50 });
  const { ci, ...nac } = methods.nac;
  assert.deepEqual(measured.metrics, nac);
  assert.equal(measured.energy.auroc, methods.energy.auroc);
  for (const { auroc, ci: interval } of Object.values(methods)) assert.ok(interval.auroc[0] <= auroc && auroc <= interval.auroc[1]);
  assert.equal(id.flagged, id.scores.nac.filter((score) => score < detector.info.profile.threshold).length / 40);
  // Images that the profile knows prove nothing.
  await assert.rejects(scoreSet(detector, lazy(0, 3)), { code: 'MISMATCH', message: /^0: the profile was built on this image/ });
  const { images, seen } = await scoreSet(detector, [...lazy(0, 3), ...odd, ...even], { dropSeen: true });
  assert.deepEqual([images, seen], [40, 43]);
  detector.close();
});

test('settings change what is measured, and a search is no worse than the defaults', async () => {
  const bench = await openWorkbench({ model: scene.file('tiny.onnx'), layers: LAYERS, preprocess: PREPROCESS, ...COMMON });
  assert.throws(() => bench.defaults(), { code: 'INVALID_ARGUMENT' });
  await bench.collect('profile', lazy(0, 60));
  await bench.collect('held', lazy(500, 40));
  assert.equal((await bench.measure(bench.defaults())).metrics, null, 'nothing to compare with');
  await bench.collectSynthetic(lazy(500, 24), 4);
  assert.equal(bench.counts.ood, 4 * KIND_NAMES.length);
  const settings = bench.defaults();
  const plain = await bench.measure(settings);
  const other = await bench.measure({ ...settings, alpha: settings.alpha.map((alpha) => 30 * alpha) });
  assert.notDeepEqual(other.id, plain.id);
  const steps = [];
  const found = bench.search({ onProgress: (done) => steps.push(done) });
  assert.ok(steps.length > 3 && steps.every((step, i) => step === i + 1));
  assert.ok(found.auroc >= found.aurocOfDefaults);
  assert.equal((await bench.measure(found.settings)).layers.length, found.settings.layers.length);
  // One layer alone: what a profile of that tap alone would say.
  const one = await bench.measure({ layers: [1], alpha: [settings.alpha[1]], bins: [50], fill: [settings.fill[1]] });
  assert.deepEqual(one.layers.map(({ name }) => name), ['stage2']);
  assert.notDeepEqual(one.id, plain.id);
  bench.clear('ood');
  assert.equal(bench.counts.ood, 0);
  bench.close();
});

test('collecting can be aborted, and what is there stays; an unreadable image is reported', async () => {
  const bench = await openWorkbench({ model: scene.file('tiny.onnx'), preprocess: PREPROCESS, ...COMMON });
  const control = new AbortController();
  let seen = 0;
  const onProgress = () => ++seen === 12 && control.abort(new Error('enough'));
  await assert.rejects(bench.collect('profile', lazy(0, 500), { signal: control.signal, onProgress }), { message: 'enough' });
  assert.ok(bench.counts.profile > 0 && bench.counts.profile < 20);
  const failed = [];
  await bench.collect('held', [...lazy(600, 2), { name: 'broken', load: async () => Buffer.from('no image') }], { onError: (file) => failed.push(file) });
  assert.deepEqual(failed, ['broken']);
  assert.equal(bench.counts.held, 2);
  bench.close();
});

test('inspecting a model says what it takes and where it can be tapped', async () => {
  const { model, session, size, sizeIs, error } = inspect(await makeEngine(), readFileSync(scene.file('tiny.onnx')));
  assert.equal(error, null);
  assert.ok(model.operators.Conv > 0);
  assert.ok(session.taps.length > 0);
  for (const name of ['pool', 'stage2', 'stage1']) assert.ok(session.candidates.some((tap) => tap.name === name), name);
  assert.ok(size.every((side) => side > 0) && ['given', 'free'].includes(sizeIs));
});
