// nac eval: every method's figures, groups of sets, images that were seen before, the alarm for overfitting, charts.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PNG } from 'pngjs';
import { flaggedOf } from '../../wasm/cli/eval/report.js';
import { rocCurve } from '../../wasm/cli/eval/roc.js';
import { Vim } from '../../wasm/cli/eval/vim.js';
import { nac } from './helpers/cli.js';
import { makeEngine } from './helpers/engine.js';
import { readTensors } from './helpers/safetensors.js';
import { encodePng, encodeSprite, makeScene, noise } from './helpers/scene.js';

const KEYS = ['auroc', 'fpr95', 'fpr95IdPositive', 'auprIn', 'auprOut'];
const LOGIT_METHODS = ['nac', 'msp', 'energy', 'maxLogit', 'entropy', 'gen'];

let scene;
let file;
const evaluate = (...args) => nac('eval', '--model', file('tiny.onnx'), '--profile', file('tiny.safetensors'), '--rounds', '50', ...args);
const build = (out, ...args) =>
  nac('profile', '--model', file('tiny.onnx'), '--id', file('id'), '--holdout', file('held'), '--preset', file('preset.json'), '--out', file(out), ...args);

before(async () => {
  scene = makeScene();
  ({ file } = scene);
  const made = await build('tiny.safetensors', '--layers', 'features,stage2,stage1');
  assert.equal(made.code, 0, made.stderr);
});
after(() => scene.remove());

test('every method has every metric with an interval around it, and the flagged share stands beside the promise', async () => {
  const { code, json, stderr } = await evaluate('--id', file('fresh'), '--ood', `stripes=${file('ood')}`, '--reference', file('id'), '--neighbours', '5', '--json');
  assert.equal(code, 0, stderr);
  assert.equal(json.schema, 'nac.eval/1');
  assert.equal(json.id.images, 10);
  assert.equal(json.id.falseAlarm, 0.05);
  assert.ok(json.id.flaggedCi[0] <= json.id.flagged && json.id.flagged <= json.id.flaggedCi[1]);
  assert.deepEqual(json.features, { layer: 'features', classifierInput: true });
  assert.deepEqual({ ...json.references, path: 0 }, { path: 0, images: 24, k: 5 });
  const [{ name, images, group, methods }] = json.sets;
  assert.deepEqual([name, images, group], ['stripes', 10, null]);
  assert.deepEqual(new Set(Object.keys(methods)), new Set([...LOGIT_METHODS, 'gradNorm', 'knn', 'vim']));
  for (const [method, measured] of Object.entries(methods))
    for (const key of KEYS) {
      assert.ok(measured[key] >= 0 && measured[key] <= 1, `${method} ${key}`);
      const [low, high] = measured.ci[key];
      assert.ok(low <= high && low >= 0 && high <= 1, `${method} ${key}`);
    }
  assert.ok(methods.nac.ci.auroc[0] <= methods.nac.auroc && methods.nac.auroc <= methods.nac.ci.auroc[1]);
});

test('without references there is no KNN, without the classifier\'s input no GradNorm', async () => {
  const plain = await evaluate('--id', file('fresh'), '--ood', `stripes=${file('ood')}`, '--json');
  assert.deepEqual(new Set(Object.keys(plain.json.sets[0].methods)), new Set([...LOGIT_METHODS, 'gradNorm']));
  assert.equal((await build('stages.safetensors', '--layers', 'stage2,stage1')).code, 0);
  const { code, json, stderr } = await evaluate('--profile', file('stages.safetensors'), '--id', file('fresh'), '--ood', `stripes=${file('ood')}`, '--reference', file('id'), '--json');
  assert.equal(code, 0, stderr);
  assert.deepEqual(json.features, { layer: 'stage2', classifierInput: false });
  assert.deepEqual(new Set(Object.keys(json.sets[0].methods)), new Set([...LOGIT_METHODS, 'knn']));
  assert.match(stderr, /KNN by the 24th nearest/);
  assert.match(stderr, /no ViM: stage2 is not the classifier's input/);
});

test('a group\'s figures are the means over its sets', async () => {
  const { json } = await evaluate('--id', file('fresh'), '--near', `a=${file('ood')}`, '--far', `b=${file('fresh.8x8.png')}`, '--far', `c=${file('ood', '3.png')}`, '--json');
  assert.deepEqual(json.sets.map(({ name, group }) => [name, group]), [['a', 'near'], ['b', 'far'], ['c', 'far']]);
  const [a, b, c] = json.sets;
  assert.deepEqual([json.means.near.sets, json.means.far.sets], [['a'], ['b', 'c']]);
  for (const method of LOGIT_METHODS)
    for (const key of KEYS) {
      assert.equal(json.means.near.methods[method][key], a.methods[method][key]);
      assert.equal(json.means.far.methods[method][key], (b.methods[method][key] + c.methods[method][key]) / 2);
    }
  // The same images on both sides: nobody can tell.
  assert.equal(b.methods.nac.auroc, 0.5);
});

test('the table fits a terminal and marks the best', async () => {
  const { code, stdout } = await evaluate('--id', file('fresh'), '--near', `stripes=${file('ood')}`, '--near', `more=${file('ood')}`, '--reference', file('id'), '--seen', file('id'));
  assert.equal(code, 0);
  assert.ok(stdout.split('\n').every((line) => line.length <= 80), stdout);
  for (const title of ['stripes', 'mean near', 'NAC', 'max logit', 'entropy', 'GEN', 'GradNorm', 'KNN', 'ViM', '% are promised', 'profile images against fresh']) assert.ok(stdout.includes(title), title);
  assert.ok((stdout.match(/\*\d/g) ?? []).length >= 3, 'one of every block, at least');
});

test('images that were seen are refused, however their pixels are written', async () => {
  const [known, held] = [noise(0), noise(1000)];
  const copies = {
    'stored.png': encodePng(known, 8, 8, { deflateLevel: 0, filterType: 0 }),
    'filtered.png': encodePng(known, 8, 8, { filterType: 4 }),
    'rgb.png': withoutAlpha(known),
    'sheet.8x8.png': encodeSprite([noise(5000), known], 8, 2),
    'held.png': encodePng(held, 8, 8, { deflateLevel: 1 }),
  };
  assert.equal(new Set([...Object.values(copies).map((bytes) => Buffer.from(bytes).toString('base64'))]).size, 5);
  for (const [name, bytes] of Object.entries(copies)) {
    mkdirSync(file('copy', name), { recursive: true });
    writeFileSync(file('copy', name, name), bytes);
    const role = name === 'held.png' ? /was calibrated on this image/ : /was built on this image/;
    for (const sets of [['--id', file('copy', name), '--ood', `x=${file('ood')}`], ['--id', file('fresh'), '--ood', `x=${file('copy', name)}`]]) {
      const { code, stdout, stderr } = await evaluate(...sets);
      assert.deepEqual([code, stdout], [3, ''], name);
      assert.match(stderr, role);
    }
  }
  const { code, json } = await evaluate('--id', file('copy'), '--id', file('fresh'), '--ood', `x=${file('ood')}`, '--drop-seen', '--json');
  assert.equal(code, 0);
  assert.deepEqual([json.id.images, json.id.seen], [11, 5]); // ten fresh ones, and the other tile of the sheet
  const one = encodePng(Uint8Array.from(known, (value, i) => (i === 77 ? value ^ 1 : value)), 8, 8);
  writeFileSync(file('ood', '9.png'), one);
  assert.equal((await evaluate('--id', file('fresh'), '--ood', `x=${file('ood')}`)).code, 0, 'one bit makes another image');
});

function withoutAlpha(pixels) {
  const png = new PNG({ width: 8, height: 8 });
  for (let i = 0; i < 64; ++i) png.data.set([...pixels.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  return new Uint8Array(PNG.sync.write(png, { colorType: 2 }));
}

test('references are refused too', async () => {
  const { code, stderr } = await evaluate('--id', file('fresh'), '--ood', `x=${file('ood')}`, '--reference', file('fresh'));
  assert.equal(code, 3);
  assert.match(stderr, /is among the references/);
});

test('a profile that has learned its images by heart raises the alarm', async () => {
  // Every image a bin of its own, in a thousand bins: only the very same states are known.
  assert.equal((await build('overfitted.safetensors', '--bins', '1000', '--fill', '1')).code, 0);
  assert.equal((await build('coarse.safetensors', '--bins', '4', '--fill', '24')).code, 0);
  const check = (profile, ...more) => nac('eval', '--model', file('tiny.onnx'), '--profile', file(profile), '--id', file('fresh'), '--seen', file('id'), '--rounds', '200', ...more);
  const bad = (await check('overfitted.safetensors', '--json')).json;
  assert.equal(bad.overfitting.images, 24);
  assert.equal(bad.overfitting.alarm, true);
  assert.ok(bad.overfitting.methods.nac.auroc > 0.9, `${bad.overfitting.methods.nac.auroc}`);
  assert.ok(bad.overfitting.methods.nac.ci.auroc[0] > bad.overfitting.bound);
  assert.match((await check('overfitted.safetensors')).stdout, /ALARM/);
  const good = (await check('coarse.safetensors', '--json')).json;
  assert.equal(good.overfitting.alarm, false);
  assert.equal(good.overfitting.methods.msp.auroc, bad.overfitting.methods.msp.auroc, 'MSP knows no profile');
  assert.deepEqual(good.sets, []);
  const strangers = await nac('eval', '--model', file('tiny.onnx'), '--id', file('fresh'), '--seen', file('held'));
  assert.equal(strangers.code, 3);
  assert.match(strangers.stderr, /was built on none of these images/);
});

test('KNN and ViM are scikit-learn\'s and NumPy\'s (tests/oracle/baselines_oracle.py)', async () => {
  const golden = readTensors(fileURLToPath(new URL('../golden/baselines/parity.safetensors', import.meta.url)));
  const { tensors } = golden;
  const rows = (name) => Array.from({ length: tensors[name].shape[0] }, (_, n) => tensors[name].values.subarray(n * tensors[name].shape[1], (n + 1) * tensors[name].shape[1]));
  const [references, queries, weight] = ['references', 'queries', 'weight'].map(rows);
  const logits = (features) => weight.map((row, k) => row.reduce((sum, w, c) => sum + w * features[c], tensors.bias.values[k]));
  const energy = (values) => Math.max(...values) + Math.log(values.reduce((sum, value) => sum + Math.exp(value - Math.max(...values)), 0));

  const engine = await makeEngine();
  const neighbours = engine.createNeighbours({ references, k: Number(golden.metadata.nearest) });
  neighbours.score(queries).forEach((score, n) => assert.ok(Math.abs(score - tensors.knn.values[n]) < 1e-6, `KNN ${n}`));
  assert.throws(() => neighbours.score([new Float32Array(3)]), { code: 'MISMATCH' });
  assert.throws(() => engine.createNeighbours({ references: references.slice(0, 3), k: 4 }).score(queries), { code: 'INVALID_ARGUMENT' });

  const classifier = { weight: tensors.weight.values, bias: tensors.bias.values };
  const vim = Vim.create({ references, maxLogits: references.map((row) => Math.max(...logits(row))), classifier });
  // Both in double; two ways to invert W.
  queries.forEach((row, n) => assert.ok(Math.abs(vim.score(row, energy(logits(row))) - tensors.vim.values[n]) < 1e-8, `ViM ${n}`));
});

test('the interval of a share is Wilson\'s', () => {
  const near = (actual, expected) => actual.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 5e-5, `${actual}`));
  // R: prop.test(x, n, correct = FALSE)
  near(flaggedOf(0.05, 100).flaggedCi, [0.02154, 0.11175]);
  near(flaggedOf(0, 10).flaggedCi, [0, 0.27753]);
  near(flaggedOf(1, 10).flaggedCi, [0.72247, 1]);
  assert.deepEqual(flaggedOf(null, 10), { flagged: null });
});

test('the area under the drawn curve is the AUROC', async () => {
  const engine = await makeEngine();
  const scores = (seed, shift) => Float32Array.from(noise(seed, 20), (value) => Math.round(value / 9) + shift); // many ties
  for (const [id, ood] of [[scores(1, 2), scores(2, 0)], [scores(3, 0), scores(3, 0)], [Float32Array.of(1), Float32Array.of(0)], [Float32Array.of(0), Float32Array.of(1)]]) {
    const points = rocCurve(id, ood);
    assert.deepEqual([points[0], points.at(-1)], [[0, 0], [1, 1]]);
    const area = points.slice(1).reduce((sum, [x, y], i) => sum + ((x - points[i][0]) * (y + points[i][1])) / 2, 0);
    assert.ok(Math.abs(area - engine.metrics(id, ood).auroc) < 1e-9, `${area}`);
  }
});

test('charts are whole, accessible SVG files, whatever the sets are called', async () => {
  const folder = file('charts');
  const names = ['<a> & "b"', 'a b'];
  const { code, json, stderr } = await evaluate('--id', file('fresh'), '--ood', `${names[0]}=${file('ood')}`, '--ood', `${names[1]}=${file('ood')}`, '--plots', folder, '--json');
  assert.equal(code, 0, stderr);
  assert.deepEqual(json.plots.map((name) => path.basename(name)), ['scores.svg', 'roc-a_b.svg', 'roc-a_b-2.svg']);
  for (const [i, name] of json.plots.entries()) {
    const drawing = readFileSync(name, 'utf8');
    checkXml(drawing);
    assert.match(drawing, /^<svg [^>]*role="img" aria-labelledby="title desc"><title id="title">.+?<\/title><desc id="desc">.+?<\/desc>/);
    assert.match(drawing, /prefers-color-scheme:dark/);
    assert.doesNotMatch(drawing, /NaN|Infinity|undefined/);
    if (i > 0) assert.equal((drawing.match(/<path /g) ?? []).length, 7, 'a curve for each method');
    if (i === 0) assert.equal((drawing.match(/class="dashed-line"/g) ?? []).length, 3, 'the threshold in both panels and in the legend');
  }
  const blocked = await evaluate('--id', file('fresh'), '--ood', `x=${file('ood')}`, '--plots', file('text.png', 'inside'));
  assert.equal(blocked.code, 3);
  assert.match(blocked.stderr, /scores\.svg: it cannot be written/);
});

/** Every element is closed in its order, and no text holds a bare < or &. */
function checkXml(text) {
  const open = [];
  for (const [, closing, name, attributes, empty, content] of text.matchAll(/<(\/?)([\w-]+)((?: [\w-]+="[^"<&]*(?:&#\d+;[^"<&]*)*")*)(\/?)>([^<]*)/g)) {
    assert.ok(!/&(?!#\d+;)/.test(content), content);
    if (closing) assert.equal(open.pop(), name, attributes);
    else if (!empty) open.push(name);
  }
  assert.deepEqual(open, []);
  assert.equal(text.replace(/<(\/?)([\w-]+)((?: [\w-]+="[^"<]*")*)(\/?)>/g, '').includes('<'), false);
}
