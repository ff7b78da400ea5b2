// The search on states made by hand, where it is known what it should find.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Collector, statesOfLayers } from '../../wasm/js/collector.js';
import { Judge } from '../../wasm/js/judge.js';
import { random } from '../../wasm/js/subset.js';
import { tune } from '../../wasm/js/tune.js';
import { makeEngine } from './helpers/engine.js';

const NEURONS = 8;

/** States of layers whose x = z g is drawn by `draw(layer, next)`. */
function makeStates(count, seed, layers, draw) {
  const next = random(seed);
  const taps = Array.from({ length: layers }, (_, layer) => ({ name: `layer${layer}`, neurons: NEURONS, pool: 'sum' }));
  return Array.from({ length: count }, () => {
    const z = taps.map((_, layer) => Float32Array.from({ length: NEURONS }, () => draw(layer, next)));
    return { taps, z, g: taps.map(() => new Float32Array(NEURONS).fill(1)), logits: Float32Array.of(1, 0), hash: 0n };
  });
}

/** About normal, of standard deviation 1. */
const normal = (next) => 2 * (next() + next() + next() - 1.5);

test('counted AUROCs are the sorted ones, but for its steps', async () => {
  const engine = await makeEngine();
  const next = random(1);
  for (const levels of [0, 7]) {
    const level = (value) => (levels ? Math.round(value * levels) / levels : value);
    const scores = Float32Array.from({ length: 900 }, (_, n) => level(0.5 + 0.05 * normal(next) - (n >= 500 ? 0.03 : 0)));
    scores[600] = -1; // beyond every in-distribution score, on either side
    scores[700] = 2;
    const judge = new Judge([500, 100, 300]);
    const exact = [[500, 600], [600, 900]].map(([from, to]) => engine.metrics(scores.slice(0, 500), scores.slice(from, to)).auroc);
    // Half a step at either end of a range of six standard deviations is about 1e-4; ties are exact.
    judge.rate([{ scores }, null]).forEach((auroc, part) => assert.ok(Math.abs(auroc - exact[part]) < (levels ? 1e-9 : 5e-4), `${auroc}, not ${exact[part]}`));
    const twice = judge.others([{ scores }, { scores: scores.map((_, n) => 10 * (n % 2)) }], 1)({ scores });
    twice.forEach((auroc, part) => assert.ok(Math.abs(auroc - exact[part]) < (levels ? 1e-9 : 5e-4)));
  }
  assert.deepEqual([...new Judge([3, 2]).rate([{ scores: new Float32Array(5) }])], [0.5], 'all the same');
});

test('a layer that misleads is left out, and the profile of what is found scores as the search says', async () => {
  const engine = await makeEngine();
  // Outliers have larger values than usual in layer 0 and, in layer 1, only the one value that is more usual than any other.
  const usual = (layer, next) => (layer === 1 && next() < 0.5 ? 1 : normal(next));
  const profile = makeStates(300, 1, 2, usual);
  const id = makeStates(150, 2, 2, usual);
  const ood = [3, 4, 5].map((seed) => makeStates(60, seed, 2, (layer, next) => (layer === 1 ? 1 : 1.6 * normal(next))));
  const found = tune(engine, { profile, id, ood });
  assert.deepEqual(found.layers, [0]);
  assert.equal(found.defaultsKept, false);
  assert.ok(found.auroc > found.aurocOfDefaults + 0.05 && found.aurocUnseen > found.aurocOfDefaults + 0.05, JSON.stringify(found));
  assert.equal(found.sets.length, 3);
  const collector = new Collector(engine, found.settings, profile.length);
  const layers = found.layers.map((layer) => profile[0].taps[layer]);
  for (const states of profile) collector.add(statesOfLayers(states, layers));
  const made = collector.finish();
  const scores = (all) => Float32Array.from(all, (states) => made.score(1, ...['z', 'g'].map((what) => statesOfLayers(states, layers)[what])).scores[0]);
  ood.forEach((set, i) => {
    const { auroc } = engine.metrics(scores(id), scores(set));
    assert.ok(Math.abs(auroc - found.sets[i].auroc) < 1e-3, `${auroc}, not ${found.sets[i].auroc}`);
  });
});

test('the parts of a set stay with it', async () => {
  const engine = await makeEngine();
  const usual = (_, next) => normal(next);
  const [profile, id, same] = [1, 2, 3].map((seed) => makeStates(120, seed, 1, usual));
  const far = makeStates(31, 4, 1, () => 40);
  const { sets } = tune(engine, { profile, id, ood: [same, far] });
  // Beyond all that was counted: as far as can be. Of the others no two are told apart but by chance.
  assert.ok(sets[1].auroc > 0.99, JSON.stringify(sets));
  assert.ok(Math.abs(sets[0].auroc - 0.5) < 0.15, JSON.stringify(sets));
});

test('where outliers are no outliers the search knows it, from one set alone', async () => {
  const engine = await makeEngine();
  const usual = (_, next) => normal(next);
  const [profile, id] = [1, 2].map((seed) => makeStates(120, seed, 2, usual));
  const all = [3, 4, 5, 6].map((seed) => tune(engine, { profile, id, ood: [makeStates(120, seed, 2, usual)] }));
  for (const found of all) {
    assert.equal(found.defaultsKept, found.auroc === found.aurocOfDefaults);
    // Of 120 images against 60 of half of the others the standard error is 0.046; three of them.
    assert.ok(Math.abs(found.aurocUnseen - 0.5) < 0.14, String(found.aurocUnseen));
  }
  assert.throws(() => tune(engine, { profile, id, ood: [makeStates(1, 3, 2, usual)] }), { code: 'INVALID_ARGUMENT' });
  const kept = all.filter(({ defaultsKept }) => defaultsKept);
  assert.ok(kept.length > 0);
  for (const { layers } of kept) assert.deepEqual(layers, [0, 1]);
});
