// The command's contract: what is on which stream, which exit code, which schema.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PNG } from 'pngjs';
import { NAC, nac } from './helpers/cli.js';
import { makeEngine } from './helpers/engine.js';
import { runTiny, tinyModel } from './helpers/onnx.js';
import { readTensors } from './helpers/safetensors.js';
import { LABELS, makeScene, noise } from './helpers/scene.js';

let scene;
let file;
const LAYERS = 'features,stage2,stage1';

before(async () => {
  scene = makeScene();
  ({ file } = scene);
  const made = await nac('profile', '--model', file('tiny.onnx'), '--id', file('id'), '--holdout', file('held'), '--layers', LAYERS,
    '--preset', file('preset.json'), '--out', file('tiny.safetensors'));
  assert.equal(made.code, 0, made.stderr);
  assert.equal(made.stdout, '');
});
after(() => scene.remove());

test('score and eval say when this machine computes other numbers than the one that made the profile', async () => {
  const profile = (await makeEngine()).openProfile(new Uint8Array(readFileSync(file('tiny.safetensors'))));
  const { score, maxLogit, ...rest } = profile.metadata('selfTest');
  profile.setMetadata('selfTest', { ...rest, score, maxLogit: maxLogit + 1 });
  writeFileSync(file('elsewhere.safetensors'), profile.save());
  const of = (name) => ['--model', file('tiny.onnx'), '--profile', file(name)];
  const sentence = /elsewhere\.safetensors: this machine computes other numbers than the one that made the profile: the test picture has score /;
  for (const command of [['score', file('fresh')], ['eval', '--id', file('fresh'), '--ood', `odd=${file('ood')}`, '--quiet']]) {
    const warned = await nac(...command, ...of('elsewhere.safetensors'));
    assert.match(warned.stderr, sentence);
    assert.equal(warned.code, 0, warned.stderr);
    assert.doesNotMatch((await nac(...command, ...of('tiny.safetensors'))).stderr, /other numbers/);
  }
});

test('help and mistakes in the command line', async () => {
  assert.equal((await nac('--help')).code, 0);
  for (const command of ['score', 'states', 'profile', 'merge', 'tune', 'eval', 'compare', 'info', 'serve']) {
    const { code, stdout, stderr } = await nac(command, '--help');
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^nac ${command}`));
    assert.equal(stderr, '');
    assert.ok(stdout.split('\n').every((line) => line.length <= 130));
  }
  const wrong = [
    [], ['nonsense'], ['score'], ['score', '--bad', 'x.png'], ['score', 'x.png', '--workers', '0'], ['score', 'x.png', '--workers', 'two'],
    ['score', 'x.png', '--variant', 'scalar'], ['score', 'x.png', '--fail-over', '2'], ['score', 'x.png', '--json', '--csv'],
    ['score', 'x.png', '--timings', '--csv'],
    ['states', '--model', 'm', '--out', 'o'], ['states', '--model', 'm', '--out', 'o', '--tensor', 't'],
    ['states', '--model', 'm', '--out', 'o', '--tensor', 't', '--shape', '1,3,8'],
    ['states', '--model', 'm', '--out', 'o', '--tensor', 't', '--shape', '1,3,8,8', '--preset', 'nonsense'], ['profile', '--model', 'm'],
    ['profile', '--model', 'm', '--id', 'd', '--out', 'o', '--shard', '3/2', '--alpha', '1'], ['profile', '--model', 'm', '--id', 'd', '--out', 'o', '--shard', '1/2'],
    ['profile', '--model', 'm', '--id', 'd', '--out', 'o', '--layers', 'a,a=cls'], ['merge', '--out', 'o'], ['eval', '--id', 'd', '--ood', 'no-name'], ['eval', '--id', 'd'],
    ['eval', '--id', 'd', '--near', 'a=b', '--far', 'a=c'], ['eval', '--id', 'd', '--ood', 'a=b', '--neighbours', '5'], ['info'],
  ];
  for (const args of wrong) {
    const { code, stdout, stderr } = await nac(...args);
    assert.equal(code, 2, `nac ${args.join(' ')}: ${stderr}`);
    if (args.length > 0) assert.match(stderr, /^nac: .+\n$/, 'one line');
    if (args.length > 0) assert.equal(stdout, '');
  }
});

test('score --timings: every layer of the plan, forward and backward, as JSON and as a table', async () => {
  const common = ['score', '--model', file('tiny.onnx'), file('ood', '3.png'), '--timings'];
  const { code, json, stderr } = await nac(...common, '--json');
  assert.equal(code, 0, stderr);
  const { forward, backward, layers } = json.timings;
  for (const pass of ['forward', 'backward']) {
    const times = layers.map((layer) => layer[pass]?.ms ?? 0);
    assert.ok(times.every((ms) => Number.isFinite(ms) && ms >= 0));
    assert.ok(Math.abs(times.reduce((sum, ms) => sum + ms, 0) - json.timings[pass].ms) < 1e-6, 'the layers make up the whole');
  }
  assert.ok(forward.gflops > 0 && backward.gflops > 0);
  assert.ok(layers.some(({ op, forward: f, backward: b }) => op === 'CONV' && f.gflops > 0 && b?.gflops > 0), 'a convolution goes both ways');
  assert.ok(layers.some(({ op, backward: b }) => op === 'CONV' && b === null), 'nothing in front of the earliest tap is differentiated');

  const printed = await nac(...common);
  assert.match(printed.stdout, /layer +operator +forward ms +GFLOP\/s +backward ms +GFLOP\/s\n/);
  assert.equal((await nac(...common.slice(0, -1), '--json')).json.timings, undefined);
});

test('score --json: one document, schema, order, and nothing on standard error', async () => {
  const { code, json, stderr } = await nac('score', '--model', file('tiny.onnx'), file('fresh'), file('ood', '3.png'), '--json');
  assert.equal(code, 0);
  assert.equal(stderr, '');
  assert.equal(json.schema, 'nac.scores/1');
  assert.equal(json.model, file('tiny.onnx'));
  assert.equal(json.profile, file('tiny.safetensors'));
  assert.deepEqual(json.errors, []);
  assert.deepEqual(json.results.map((r) => r.file), [...readdirSync(file('fresh')).sort().map((name) => file('fresh', name)), file('ood', '3.png')]);
  const keys = ['schema', 'file', 'verdict', 'score', 'threshold', 'pValue', 'byClass', 'label', 'classIndex', 'probability', 'top', 'layers', 'baselines', 'baselineThresholds', 'ms', 'decoder', 'variant'];
  for (const result of json.results) {
    assert.deepEqual(Object.keys(result).sort(), [...keys].sort());
    assert.equal(result.schema, 'nac.result/1');
    assert.ok(['in', 'out'].includes(result.verdict));
    assert.equal(result.variant, json.variant);
    assert.deepEqual(Object.keys(result.ms), ['decode', 'preprocess', 'forward', 'backward', 'score']);
  }
});

test('one worker and two, folder and sprite: the same scores to the bit', async () => {
  const run = async (...args) =>
    (await nac('score', '--model', file('tiny.onnx'), '--json', ...args)).json.results.map(({ score, layers, baselines, probability }) => ({ score, layers, baselines, probability }));
  const one = await run(file('fresh'), '--workers', '1');
  assert.equal(one.length, 10);
  assert.deepEqual(await run(file('fresh'), '--workers', '2'), one);
  assert.deepEqual(await run(file('fresh.8x8.png'), '--workers', '2'), one);
  assert.deepEqual(await run(`${file('fresh.8x8.png')}#8x8`), one);
});

test('both variants run, and agree', async () => {
  const run = async (variant) => (await nac('score', '--model', file('tiny.onnx'), '--json', file('fresh'), '--variant', variant)).json;
  const [simd, relaxed] = [await run('simd'), await run('relaxed')];
  assert.equal(simd.variant, 'simd');
  assert.equal(relaxed.variant, 'relaxed');
  // A product that is fused can move a state over an edge, of one neuron in 8 of one layer in three; logits hardly move.
  simd.results.forEach(({ baselines, score }, i) => {
    assert.ok(Math.abs(baselines.maxLogit - relaxed.results[i].baselines.maxLogit) < 1e-5);
    assert.ok(Math.abs(score - relaxed.results[i].score) < 0.1);
  });
});

test('an image that cannot be read is reported and skipped, and the exit code is 3', async () => {
  for (const [name, reason] of [['text.png', /not a JPEG or PNG/], ['cut.png', /truncated/], ['missing.png', /no such file/]]) {
    const { code, json, stderr } = await nac('score', '--model', file('tiny.onnx'), file('fresh', '2000.png'), file(name), '--json');
    assert.equal(code, 3);
    assert.equal(json.results.length, 1);
    assert.equal(json.errors.length, 1);
    assert.equal(json.errors[0].file, file(name));
    assert.match(json.errors[0].message, reason);
    assert.match(stderr, /^[^\n]+: [^\n]+\n$/);
    assert.ok(stderr.startsWith(`${file(name)}: `));
  }
});

test('bad models and profiles: exit code 3, one line with the file and the reason, nothing on standard output', async () => {
  writeFileSync(file('cut.safetensors'), readFileSync(file('tiny.safetensors')).subarray(0, 100));
  const image = file('fresh', '2000.png');
  for (const [args, pattern] of [
    [['score', '--model', file('none.onnx'), '--profile', file('tiny.safetensors'), image], /none\.onnx: no such file/],
    [['score', '--model', file('text.png'), '--profile', file('tiny.safetensors'), image], /text\.png/],
    [['score', '--model', file('tiny.onnx'), '--profile', file('cut.safetensors'), image], /cut\.safetensors/],
    [['score', '--model', file('other.onnx'), '--profile', file('tiny.safetensors'), image], /belongs to model/],
    [['score', '--model', file('tiny.onnx'), file('nothing-here')], /nothing-here/],
    [['info', file('text.png')], /text\.png/],
    [['info', file('missing')], /missing: no such file/],
    [['states', '--model', file('tiny.onnx'), '--layers', 'nowhere', '--preset', file('preset.json'), image, '--out', file('x')], /nowhere/],
    [['states', '--model', file('tiny.onnx'), '--tensor', file('text.png'), '--shape', '1,3,8,8', '--out', file('x')], /text\.png: 16 bytes/],
    [['profile', '--model', file('tiny.onnx'), '--id', file('nothing-here'), '--out', file('x')], /nothing-here/],
    [['merge', file('tiny.safetensors'), file('cut.safetensors'), '--out', file('x')], /cut\.safetensors/],
    [['serve', file('nothing-here')], /nothing-here/],
  ]) {
    const { code, stdout, stderr } = await nac(...args);
    assert.equal(code, 3, `nac ${args.join(' ')}: ${stderr}`);
    assert.match(stderr, pattern);
    assert.equal(stderr.trimEnd().split('\n').at(-1).includes('    at '), false);
    assert.equal(stdout, '');
    assert.equal(existsSync(file('x')), false);
  }
});

test('--fail-over compares the share of images that are out', async () => {
  // Half of what is like the held-out images is to be flagged, so that there are both verdicts.
  const profile = await nac('profile', '--model', file('tiny.onnx'), '--id', file('id'), '--holdout', file('held'), '--layers', LAYERS,
    '--preset', file('preset.json'), '--false-alarm', '0.5', '--out', file('half'));
  assert.equal(profile.code, 0);
  const common = ['score', '--model', file('tiny.onnx'), '--profile', file('half'), file('fresh')];
  const { json } = await nac(...common, '--json');
  const share = json.results.filter(({ verdict }) => verdict === 'out').length / json.results.length;
  assert.ok(share > 0 && share < 1, `a share of ${share} tests nothing`);
  assert.equal((await nac(...common, '--fail-over', String(share - 0.01))).code, 1);
  assert.equal((await nac(...common, '--fail-over', String(share))).code, 0);
});

test('--per-class judges by the threshold of the predicted class, where there is one', async () => {
  // At a rate of a half, 8 calibration images of a class are enough.
  const profile = await nac('profile', '--model', file('tiny.onnx'), '--id', file('id'), '--holdout', file('held'), '--layers', LAYERS,
    '--preset', file('preset.json'), '--false-alarm', '0.5', '--out', file('half'));
  assert.equal(profile.code, 0);
  const run = async (...args) => (await nac('score', '--model', file('tiny.onnx'), '--profile', file('half'), ...args, '--json')).json.results;
  const held = await run(file('held'));
  const fresh = await run(file('fresh'), file('ood'));
  assert.ok(fresh.some(({ byClass }) => byClass) && fresh.some(({ byClass }) => !byClass), 'classes with and without');
  for (const { classIndex, score, byClass } of fresh) {
    const scores = held.filter((other) => other.classIndex === classIndex).map((other) => other.score);
    assert.equal(byClass !== null, scores.length >= 8);
    if (!byClass) continue;
    const pValue = (1 + scores.filter((other) => other <= score).length) / (scores.length + 1);
    assert.equal(byClass.pValue, pValue);
    assert.equal(byClass.verdict, pValue <= 0.5 ? 'out' : 'in');
    assert.equal(byClass.verdict, score < byClass.threshold ? 'out' : 'in');
  }
  const judged = await run(file('fresh'), file('ood'), '--per-class');
  judged.forEach(({ verdict, threshold, pValue }, i) => {
    const expected = fresh[i].byClass ?? fresh[i];
    assert.deepEqual([verdict, threshold, pValue], [expected.verdict, expected.threshold, expected.pValue]);
  });
  const info = (await nac('info', file('half'), '--json')).json;
  assert.ok(info.calibration.byClass.length > 0);
  for (const { label, threshold } of info.calibration.byClass) assert.equal(held.find((result) => result.label === label).byClass.threshold, threshold);
});

test('the table fits 80 columns, and the CSV has one line an image', async () => {
  const { stdout } = await nac('score', '--model', file('tiny.onnx'), file('fresh'));
  const lines = stdout.trimEnd().split('\n');
  assert.ok(lines.every((line) => line.length <= 80), stdout);
  assert.equal(lines.length, 1 + 10 + 2);
  assert.match(lines.at(-1), /^10 images, \d+ out of distribution/);
  assert.equal(stdout.includes('\x1b'), false, 'no colour in a pipe');
  const csv = (await nac('score', '--model', file('tiny.onnx'), file('fresh'), '--csv')).stdout.trimEnd().split('\n');
  assert.equal(csv.length, 11);
  const columns = csv[0].split(',');
  for (const name of ['file', 'verdict', 'score', 'pValue', 'label', 'layer:features', 'ms:forward']) assert.ok(columns.includes(name));
  assert.ok(csv.slice(1).every((line) => line.split(',').length === columns.length));
});

test('--explain names neurons and writes heat maps', async () => {
  const { code, json } = await nac('score', '--model', file('tiny.onnx'), file('fresh', '2000.png'), '--explain', '--out', file('maps'), '--json');
  assert.equal(code, 0);
  const { layers } = json.results[0].explanation;
  assert.deepEqual(layers.map(({ name }) => name), LAYERS.split(','));
  assert.equal(layers[0].heatMap, null);
  const png = PNG.sync.read(readFileSync(layers[2].heatMap));
  assert.deepEqual([png.width, png.height], [256, 256]);
  assert.equal(readdirSync(file('maps')).length, 2);
});

test('states of a tensor are what a plain loop computes, in NCHW', async () => {
  const model = tinyModel({ labels: LABELS });
  const images = [1, 2, 3].map((seed) => Float32Array.from(noise(seed), (value) => value / 100 - 1));
  writeFileSync(file('x.f32'), Buffer.concat(images.map((image) => Buffer.from(image.buffer))));
  const out = file('states.safetensors');
  const { code, stderr } = await nac('states', '--model', file('tiny.onnx'), '--tensor', file('x.f32'), '--shape', '3,3,8,8', '--layers', 'features,stage2=sum', '--alpha', '2,0.5', '--out', out);
  assert.equal(code, 0, stderr);
  const { tensors } = readTensors(out);
  assert.deepEqual(Object.keys(tensors).sort(), ['features.g', 'features.x', 'features.z', 'logits', 'stage2.g', 'stage2.x', 'stage2.z']);
  assert.deepEqual(tensors.logits.shape, [3, 4]);
  assert.deepEqual(tensors['stage2.z'].shape, [3, 8]);
  images.forEach((image, n) => {
    const expected = runTiny(model, image);
    expected.logits.forEach((value, k) => assert.ok(Math.abs(tensors.logits.values[4 * n + k] - value) < 2e-5));
    expected.gradient.forEach((value, c) => {
      assert.ok(Math.abs(tensors['features.g'].values[8 * n + c] - value) < 1e-5);
      assert.ok(Math.abs(tensors['stage2.z'].values[8 * n + c] - expected.sums[c]) < 1e-4);
      const x = Math.fround(2 * Math.fround(tensors['features.z'].values[8 * n + c] * tensors['features.g'].values[8 * n + c]));
      assert.equal(tensors['features.x'].values[8 * n + c], x);
    });
  });
});

test('states of images hold the input, and a model of a fixed batch is run image by image', async () => {
  writeFileSync(file('fixed.onnx'), tinyModel({ batch: 1, labels: LABELS }).bytes);
  const outs = [];
  for (const model of ['tiny', 'fixed']) {
    const out = file(`${model}.states`);
    const { code, json } = await nac('states', '--model', file(`${model}.onnx`), file('fresh'), '--preset', file('preset.json'), '--layers', LAYERS, '--out', out, '--json');
    assert.equal(code, 0);
    assert.equal(json.images, 10);
    outs.push(readTensors(out).tensors);
  }
  assert.deepEqual(outs[1], outs[0]);
  assert.deepEqual(outs[0].input.shape, [10, 3, 8, 8]);
  const pixels = noise(2000);
  outs[0].input.values.slice(0, 192).forEach((value, i) => {
    const expected = (pixels[(i % 64) * 3 + Math.floor(i / 64)] / 255 - 0.5) / 0.25;
    assert.ok(Math.abs(value - expected) < 1e-5);
  });
});

test('shards merge into the profile of all images, bit for bit', async () => {
  const common = ['--model', file('tiny.onnx'), '--id', file('id'), '--layers', LAYERS, '--preset', file('preset.json'), '--alpha', '1,0.1,0.1', '--holdout-fraction', '0', '--seed', '3'];
  for (const shard of ['1/3', '2/3', '3/3']) assert.equal((await nac('profile', ...common, '--shard', shard, '--out', file(`part${shard[0]}`))).code, 0);
  assert.equal((await nac('profile', ...common, '--out', file('whole'))).code, 0);
  assert.equal((await nac('merge', file('part1'), file('part2'), file('part3'), '--out', file('merged'))).code, 0);
  const engine = await makeEngine();
  const [whole, merged] = ['whole', 'merged'].map((name) => engine.openProfile(readFileSync(file(name))));
  // How each was made differs, and a merged one has run no test image.
  for (const profile of [whole, merged]) for (const key of ['provenance', 'selfTest']) profile.setMetadata(key, undefined);
  assert.equal(merged.images, 24);
  assert.deepEqual(merged.save(), whole.save());
  const again = await nac('merge', file('part1'), file('part2'), file('part3'), '--model', file('tiny.onnx'), '--holdout', file('held'), '--out', file('calibrated'), '--json');
  assert.equal(again.code, 0, again.stderr);
  assert.ok(again.json.threshold > 0);
  const other = await nac('merge', file('part1'), file('tiny.safetensors'), '--out', file('no'));
  assert.equal(other.code, 3);
  assert.match(other.stderr, /tiny\.safetensors/);
});

test('a limited profile is balanced, held-out images come from the rest, and it says how it was made', async () => {
  const { code, json } = await nac('profile', '--model', file('tiny.onnx'), '--id', file('id'), '--limit', '12', '--layers', LAYERS, '--preset', file('preset.json'), '--out', file('limited'), '--json');
  assert.equal(code, 0);
  assert.equal(json.images, 12);
  assert.equal(json.calibration, 3);
  const info = await nac('info', file('limited'), '--json');
  assert.equal(info.code, 0);
  assert.equal(info.json.kind, 'profile');
  assert.match(info.json.metadata.provenance.command, /^nac profile --model .* --limit 12/);
  assert.equal(info.json.metadata.model.name, 'tiny.onnx');
  assert.deepEqual(info.json.metadata.labels, LABELS);
});

test('too few held-out images for the promise: it says how many it takes, and calls nothing out', async () => {
  const few = await nac('profile', '--model', file('tiny.onnx'), '--id', file('id'), '--limit', '12', '--layers', LAYERS, '--preset', file('preset.json'), '--false-alarm', '0.1', '--out', file('few'));
  assert.equal(few.code, 0);
  assert.match(few.stderr + few.stdout, /nothing will be called out: 10 % false alarms take at least 9 held-out images, and there are 3/);
  const scored = await nac('score', '--model', file('tiny.onnx'), '--profile', file('few'), file('ood'), '--json');
  assert.ok(scored.json.results.every(({ verdict }) => verdict === 'in'));
});

test('labels of a file go into the profile, and a file of another model is refused', async () => {
  const common = ['profile', '--model', file('tiny.onnx'), '--id', file('id'), '--limit', '12', '--layers', LAYERS, '--preset', file('preset.json'), '--out', file('labelled')];
  const names = LABELS.map((label) => `a ${label}`);
  writeFileSync(file('labels.txt'), `${names.join('\r\n')}\r\n`);
  assert.equal((await nac(...common, '--labels', file('labels.txt'))).code, 0);
  const info = await nac('info', file('labelled'), '--json');
  assert.deepEqual(info.json.metadata.labels, names);
  writeFileSync(file('labels.txt'), 'one\n');
  const refused = await nac(...common, '--labels', file('labels.txt'));
  assert.equal(refused.code, 3);
  assert.match(refused.stderr, new RegExp(`labels\\.txt: names of 1 classes, and the model has ${LABELS.length}`));
});

test('tune finds settings no worse than the defaults, writes their profile, and says what it searched with', async () => {
  const common = ['tune', '--model', file('tiny.onnx'), '--id', file('id'), '--holdout', file('held'), '--layers', LAYERS, '--preset', file('preset.json'), '--json'];
  const real = await nac(...common, '--ood', file('ood'), '--out', file('tuned'));
  assert.equal(real.code, 0, real.stderr);
  assert.ok(real.json.auroc >= real.json.aurocOfDefaults);
  assert.deepEqual(real.json.sets.map(({ name, images }) => [name, images]), [[file('ood'), 10]]);
  assert.equal(real.json.images, 24);
  assert.equal(real.json.calibration, 15);
  assert.deepEqual(real.json.ood, [file('ood')]);
  // What it says of the search is what the profile does: the other half of the held-out images against the same outliers.
  const { code } = await nac('score', '--model', file('tiny.onnx'), '--profile', file('tuned'), file('fresh'));
  assert.equal(code, 0);
  const made = await nac(...common, '--out', file('tuned2'));
  assert.equal(made.code, 0, made.stderr);
  assert.equal(made.json.ood, 'synthetic');
  assert.match(made.stderr, /made of the images themselves \(noise, clouds, .*levels\)/);
  assert.equal(made.json.sets.length, 13);
  for (const { images, auroc, aurocUnseen, aurocOfDefaults } of made.json.sets) {
    assert.equal(images, 15);
    for (const value of [auroc, aurocUnseen, aurocOfDefaults]) assert.ok(value >= 0 && value <= 1);
  }
  const table = await nac(...common.filter((argument) => argument !== '--json'), '--ood', file('ood'), '--out', file('tuned'));
  assert.match(table.stdout, /AUROC against .*\n.*ood .*\nmean /s);
  assert.ok(table.stdout.split('\n').slice(0, 3).every((line) => line.length <= 80));
  assert.equal((await nac('tune', '--model', file('tiny.onnx'), '--id', file('id'))).code, 2);
});

test('compare ranks models by coverage, over correctly classified images where classes are known', async () => {
  const { code, json } = await nac('compare', '--id', file('id'), file('tiny.onnx'), file('other.onnx'), '--preset', file('preset.json'), '--alpha', '10', '--fill', '2', '--json');
  assert.equal(code, 0);
  assert.equal(json.schema, 'nac.compare/1');
  assert.deepEqual(json.models.map(({ model }) => model).sort(), [file('other.onnx'), file('tiny.onnx')]);
  assert.ok(json.models[0].coverage >= json.models[1].coverage);
  for (const { coverage, accuracy, images } of json.models) {
    assert.ok(coverage > 0 && coverage < 1);
    assert.equal(images, Math.round(accuracy * 24));
  }
  const shifted = await nac('compare', '--id', file('id'), file('tiny.onnx'), file('other.onnx'), '--accuracy-on', file('shifted'), '--preset', file('preset.json'), '--alpha', '10', '--fill', '2', '--json');
  assert.equal(shifted.code, 0, shifted.stderr);
  assert.equal(shifted.json.shifted.images, 4);
  const [first, second] = shifted.json.models;
  assert.deepEqual(shifted.json.models.map(({ coverage }) => coverage), json.models.map(({ coverage }) => coverage));
  const expected = Math.sign(first.shiftedAccuracy - second.shiftedAccuracy) || null;
  assert.equal(shifted.json.spearman.coverage, expected);
  const lines = await nac('compare', '--id', file('id'), file('tiny.onnx'), '--accuracy-on', file('shifted'), '--preset', file('preset.json'));
  assert.ok(lines.stdout.trimEnd().split('\n').slice(0, 2).every((line) => line.length <= 80), lines.stdout);
  assert.match(lines.stdout, /Spearman .*1 models: NAC-ME -, accuracy on --id -/);
  assert.equal((await nac('compare', '--id', file('id'), file('tiny.onnx'), '--accuracy-on', file('fresh'), '--preset', file('preset.json'))).code, 3);
  const unknown = await nac('compare', '--id', file('fresh'), file('tiny.onnx'), '--preset', file('preset.json'));
  assert.equal(unknown.code, 0);
  assert.match(unknown.stderr, /all 10 images count/);
  assert.equal((await nac('compare', '--id', file('id'))).code, 2);
});

test('NAC-ME is what plain loops compute, over correctly classified images alone', async () => {
  const model = tinyModel({ labels: LABELS });
  const [alpha, M, O] = [50, 10, 3];
  const counts = Array.from({ length: 8 }, () => new Array(M - 1).fill(0));
  let right = 0;
  LABELS.forEach((_, k) => {
    for (let i = 0; i < 6; ++i) {
      const pixels = noise(100 * k + i);
      const image = Float32Array.from({ length: 192 }, (_, j) => (pixels[(j % 64) * 3 + Math.floor(j / 64)] / 255 - 0.5) / 0.25);
      const { features, gradient, logits } = runTiny(model, image);
      if (logits.indexOf(Math.max(...logits)) !== k) continue;
      ++right;
      features.forEach((z, c) => {
        const s = 1 / (1 + Math.exp(-alpha * z * gradient[c]));
        if (s < 1) ++counts[c][Math.floor(s * (M - 1))];
      });
    }
  });
  const expected = counts.flat().reduce((sum, count) => sum + Math.min(count / O, 1), 0) / M / 8;
  assert.ok(right > 0 && right < 24);
  const { json } = await nac('compare', '--id', file('id'), file('tiny.onnx'), '--preset', file('preset.json'), '--alpha', String(alpha), '--bins', String(M), '--fill', String(O), '--json');
  assert.equal(json.models[0].images, right);
  assert.equal(json.models[0].layer, 'pool');
  // One state may fall on the other side of an edge: one count of three, of 80 cells.
  assert.ok(Math.abs(json.models[0].coverage - expected) <= 2 / 3 / 80, `${json.models[0].coverage}, not ${expected}`);
});

test('info of a model names taps and costs', async () => {
  const { code, json } = await nac('info', file('tiny.onnx'), '--json');
  assert.equal(code, 0);
  assert.equal(json.kind, 'model');
  assert.deepEqual(json.model.operators, { Conv: 2, Flatten: 1, Gemm: 1, GlobalAveragePool: 1, Relu: 2 });
  assert.ok(json.session.macsForward > 0);
  assert.ok(json.session.taps.length > 0);
  const { stdout } = await nac('info', file('tiny.onnx'));
  assert.match(stdout, /opset 13/);
  assert.deepEqual([json.session.logits, /logits {4}/.test(stdout)], ['logits', false]);
  // Two networks whose softmaxes are averaged: what stands for their logits is said.
  const ensemble = fileURLToPath(new URL('../golden/taps/ensemble.onnx', import.meta.url));
  assert.equal((await nac('info', ensemble, '--json')).json.session.logits, 'logarithms of probabilities');
  assert.match((await nac('info', ensemble)).stdout, /logits {4}logarithms of probabilities: /);
  writeFileSync(file('bad.json'), '{"resize": {"shortSide": -3}}');
  const bad = await nac('states', '--model', file('tiny.onnx'), file('fresh'), '--preset', file('bad.json'), '--out', file('bad'));
  assert.deepEqual([bad.code, bad.stdout], [3, '']);
  assert.match(bad.stderr, /^nac: .*bad\.json: preprocess: "resize" must be/);
  // One that cannot be run is described all the same; whoever wants to run it is refused.
  writeFileSync(file('odd.onnx'), tinyModel({ op: 'Erf2' }).bytes);
  const odd = await nac('info', file('odd.onnx'), '--json');
  assert.equal(odd.code, 0, odd.stderr);
  assert.deepEqual([odd.json.model.unsupported, odd.json.session], [['Erf2'], null]);
  assert.match(odd.json.note, /node 'node_stage1': operator Erf2 is not supported/);
  const run = await nac('profile', '--model', file('odd.onnx'), '--id', file('id'), '--out', file('odd.safetensors'));
  assert.deepEqual([run.code, run.stdout], [3, '']);
  assert.match(run.stderr, /odd\.onnx: node 'node_stage1': operator Erf2 is not supported/);
});

test('Ctrl-C ends a run without output that looks whole', async () => {
  // The first file is reported, which says that the run is under way; thousands of images are behind it.
  const paths = [file('text.png'), ...Array(400).fill(file('id'))];
  const child = spawn(process.execPath, [NAC, 'score', '--model', file('tiny.onnx'), '--json', '--workers', '1', ...paths]);
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => (stdout += chunk));
  const closed = once(child, 'close');
  await once(child.stderr, 'data');
  child.kill('SIGINT');
  const [code] = await closed;
  assert.equal(code, 130);
  assert.equal(stdout, '');
});

test('serve: types, folders, and nothing outside its folder', async () => {
  writeFileSync(file('fresh', 'index.html'), '<p>hello');
  writeFileSync(file('fresh', 'a.wasm'), 'x');
  const child = spawn(process.execPath, [NAC, 'serve', file('fresh'), '--port', '0']);
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data');
  const address = line.trim();
  try {
    assert.match(address, /^http:\/\/127\.0\.0\.1:\d+\/$/);
    const get = async (name) => fetch(address + name);
    assert.equal(await (await get('')).text(), '<p>hello');
    assert.equal((await get('')).headers.get('content-type'), 'text/html; charset=utf-8');
    assert.equal((await get('a.wasm')).headers.get('content-type'), 'application/wasm');
    assert.equal((await get('2000.png?x=1')).headers.get('content-type'), 'image/png');
    assert.equal((await get('none.png')).status, 404);
    for (const name of ['..%2Ftiny.onnx', '%2e%2e/tiny.onnx', '..%5ctiny.onnx', '%00', '%']) assert.equal((await get(name)).status, 404, name);
    assert.equal((await fetch(address, { method: 'POST' })).status, 405);
  } finally {
    child.kill('SIGINT');
  }
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
  assert.equal(path.isAbsolute(file('fresh')), true);
});
