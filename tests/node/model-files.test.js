// Models whose weights lie in other files (ONNX external data): found wherever a model comes from, the same numbers, one hash of all.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { pathToFileURL } from 'node:url';
import { LARGEST } from '../../wasm/js/limits.js';
import { namedFiles } from '../../wasm/js/model-files.js';
import { buildProfile, loadDetector } from '../../wasm/js/node.js';
import { Runner } from '../../wasm/js/runner.js';
import { nac } from './helpers/cli.js';
import { MODULE, codeOf, makeEngine } from './helpers/engine.js';
import { Weights, bytes, integer, ints, join, modelOf, node, tensor, text, tinyModel, value } from './helpers/onnx.js';
import { LABELS, PREPROCESS, encodePng, makeScene, noise } from './helpers/scene.js';

const golden = (name) => new Uint8Array(readFileSync(new URL(`../golden/onnx/${name}`, import.meta.url)));
const sha256 = (content) => createHash('sha256').update(content).digest('hex');
const said = (promise) => promise.then(() => 'fine', ({ code, message }) => `${code}: ${message.replaceAll(scene.folder, '…').replaceAll(path.sep, '/')}`);
const ofScene = ({ ms, file, ...rest }) => rest;

// As the two layouts of onnx.save_model: everything in one file; a file a tensor, here some of them in a folder.
const ONE = tinyModel({ labels: LABELS, where: () => 'one.onnx.data' });
const MANY = tinyModel({ labels: LABELS, where: (name) => ({ conv1: 'many/conv1', bias1: 'a b#c?.d', conv2: '%2e%2e', dense: 'many/dense' })[name] });

let scene;
let images;
/** Profiles of the same network, by how it is saved. */
const profiles = {};
/** The scores of the single file. */
let expected;

before(async () => {
  scene = makeScene();
  for (const [name, { bytes: model, files }] of Object.entries({ one: ONE, many: MANY })) {
    mkdirSync(scene.file(name, 'many'), { recursive: true });
    writeFileSync(scene.file(name, `${name}.onnx`), model);
    for (const [location, content] of Object.entries(files)) writeFileSync(scene.file(name, ...location.split('/')), content);
  }
  images = Array.from({ length: 40 }, (_, i) => encodePng(noise(i), 8, 8));
  const build = (model) => buildProfile({ model, images, holdoutFraction: 0.5, layers: ['features', 'stage2'], preprocess: PREPROCESS, workers: 0 });
  profiles.inside = await build(scene.file('tiny.onnx'));
  profiles.one = await build(scene.file('one', 'one.onnx'));
  profiles.many = await build(scene.file('many', 'many.onnx'));
  expected = await scores({ model: scene.file('tiny.onnx'), profile: profiles.inside });
});
after(() => scene.remove());

async function scores(options) {
  const detector = await loadDetector({ variant: 'simd', ...options });
  try {
    const results = [];
    for await (const result of detector.scoreAll(images.slice(0, 6), { explain: true })) results.push(ofScene(result));
    return results;
  } finally {
    detector.close();
  }
}

/** A model and its files as a picker hands them over. */
const asFiles = ({ bytes: model, files }, name = 'model.onnx') =>
  [...Object.entries(files).map(([location, content]) => new File([content], location.split('/').at(-1))), new File([model], name)];

test('the same bits from one file, from two and from many: by paths, addresses, Files and names', async () => {
  assert.equal(new Set(expected.map(({ probability }) => probability)).size, expected.length, 'the images must differ for this to mean anything');
  const { one, many } = profiles;
  for (const workers of [0, 2]) {
    assert.deepEqual(await scores({ model: scene.file('one', 'one.onnx'), profile: one, workers }), expected);
    assert.deepEqual(await scores({ model: scene.file('many', 'many.onnx'), profile: many, workers }), expected);
  }
  assert.deepEqual(await scores({ model: pathToFileURL(scene.file('many', 'many.onnx')), profile: many, workers: 0 }), expected);
  // What is not needed does not matter.
  assert.deepEqual(await scores({ model: [new File(['x'], 'README'), ...asFiles(MANY)], profile: many, workers: 0 }), expected);
  // Of a folder of several models, each with a file of that name, the one beside the model, which is the first; whatever their order.
  const lying = (path, content) => Object.defineProperty(new File([content], path.split('/').at(-1)), 'webkitRelativePath', { value: path });
  const data = ONE.files['one.onnx.data'];
  const folder = [lying('zoo/a/one.onnx.data', data.map((byte) => byte ^ 1)), lying('zoo/b/one.onnx', ONE.bytes), lying('zoo/b/one.onnx.data', data)];
  for (const model of [folder, [...folder].reverse()]) assert.deepEqual(await scores({ model, profile: one, workers: 0 }), expected);
  assert.deepEqual(await scores({ model: { model: ONE.bytes, files: { 'one.onnx.data': ONE.files['one.onnx.data'] } }, profile: one, workers: 0 }), expected);
  // What is not handed over is looked for beside the model.
  assert.deepEqual(await scores({ model: { model: scene.file('one', 'one.onnx'), files: {} }, profile: one, workers: 0 }), expected);
});

test('from a server, which is asked for what the model names and for nothing else; progress counts all bytes', async () => {
  const asked = [];
  const server = http.createServer((request, response) => {
    asked.push(request.url);
    try {
      response.end(readFileSync(scene.file(...decodeURIComponent(new URL(request.url, 'http://x').pathname.slice(1)).split('/'))));
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = (name) => new URL(name, `http://127.0.0.1:${server.address().port}`);
  try {
    const seen = [];
    const onProgress = ({ stage, loaded, total }) => stage === 'model' && seen.push([loaded, total]);
    assert.deepEqual(await scores({ model: at('one/one.onnx?v=2'), profile: profiles.one, workers: 0, onProgress }), expected);
    assert.deepEqual(asked.splice(0), ['/one/one.onnx?v=2', '/one/one.onnx.data']);
    const size = ONE.bytes.length + ONE.files['one.onnx.data'].length;
    assert.ok(seen.every(([loaded], i) => i === 0 || loaded >= seen[i - 1][0]));
    assert.deepEqual(seen.at(-1)[0], size);
    assert.deepEqual(await scores({ model: at('many/many.onnx'), profile: profiles.many, workers: 0 }), expected);
    assert.deepEqual(asked.splice(0).sort(), ['/many/%252e%252e', '/many/a%20b%23c%3F.d', '/many/many.onnx', '/many/many/conv1', '/many/many/dense']);
    await scores({ model: at('tiny.onnx'), profile: profiles.inside, workers: 0 });
    assert.deepEqual(asked.splice(0), ['/tiny.onnx']);
    writeFileSync(scene.file('alone.onnx'), ONE.bytes);
    const error = await loadDetector({ model: at('alone.onnx'), profile: profiles.one, workers: 0 }).catch((reason) => reason);
    assert.deepEqual([error.code, error.files], ['NOT_FOUND', ['one.onnx.data']]);
    assert.equal(error.message, `${at('alone.onnx')}: weights lie in 'one.onnx.data', which is missing: put it beside the model (${at('one.onnx.data')}: the server answers 404)`);
  } finally {
    server.close();
  }
});

test('what is missing, cut off or of another model', async () => {
  const load = (model) => said(loadDetector({ model, profile: profiles.one, workers: 0 }));
  writeFileSync(scene.file('alone.onnx'), ONE.bytes);
  assert.equal(await load(scene.file('alone.onnx')), "NOT_FOUND: …/alone.onnx: weights lie in 'one.onnx.data', which is missing: put it beside the model (…/one.onnx.data: no such file)");
  assert.equal(await load(ONE.bytes), "NOT_FOUND: weights lie in 'one.onnx.data', which is missing: hand it over together with the model");
  const renamed = [new File([ONE.bytes], 'renamed.onnx'), new File([ONE.files['one.onnx.data']], 'renamed.onnx.data')];
  assert.equal(await load(renamed), "NOT_FOUND: renamed.onnx: weights lie in 'one.onnx.data', which is missing: hand it over together with the model");
  assert.deepEqual(await loadDetector({ model: asFiles(MANY).slice(2), profile: profiles.many }).catch(({ message, files }) => [message, files]), [
    "model.onnx: weights lie in 'a b#c?.d' and 1 more, which are missing: hand it over together with the model", ['a b#c?.d', 'many/conv1']]);
  const cut = [new File([ONE.bytes], 'cut.onnx'), new File([ONE.files['one.onnx.data'].subarray(0, 100)], 'one.onnx.data')];
  // The hash says first that it is not the profile's model; without a profile, the core says why.
  assert.match(await said(buildProfile({ model: cut, images, preprocess: PREPROCESS, workers: 0 })), /^MALFORMED: cut\.onnx: 'one\.onnx\.data' has 100 bytes, but tensor 'denseBias' lies there from 2\d+ to 2\d+: it is cut off, or of another model$/);
  for (const model of [[], {}, { model: ONE.bytes, files: { toString: 1 } }]) assert.match(await load(model), /^(INVALID_ARGUMENT|NOT_FOUND): /);
});

test("a profile knows its model by every file's bytes", async () => {
  const hash = async (model, profile) => {
    const detector = await loadDetector({ model, profile, workers: 0 });
    detector.close();
    return detector.info.sha256;
  };
  assert.equal(await hash(scene.file('tiny.onnx'), profiles.inside), sha256(readFileSync(scene.file('tiny.onnx'))), 'of one file, as ever, its own');
  const text_ = (files) => files.map((file) => `${sha256(file)}\n`).join('');
  assert.equal(await hash(scene.file('one', 'one.onnx'), profiles.one), sha256(text_([ONE.bytes, ONE.files['one.onnx.data']])));
  const sorted = ['%2e%2e', 'a b#c?.d', 'many/conv1', 'many/dense'];
  assert.equal(await hash(asFiles(MANY), profiles.many), sha256(text_([MANY.bytes, ...sorted.map((name) => MANY.files[name])])));
  for (const change of [(file) => (file[file.length - 1] ^= 1), (file) => (file[0] ^= 128)]) {
    const data = ONE.files['one.onnx.data'].slice();
    change(data);
    assert.match(await said(loadDetector({ model: { model: ONE.bytes, files: { 'one.onnx.data': data } }, profile: profiles.one, workers: 0 })), /^MISMATCH: /);
  }
  const longer = join(ONE.files['one.onnx.data'], new Uint8Array(1));
  assert.match(await said(loadDetector({ model: { model: ONE.bytes, files: { 'one.onnx.data': longer } }, profile: profiles.one, workers: 0 })), /^MISMATCH: /);
});

test('the files are found where the core finds them, and damage neither stops nor misleads the search', async () => {
  const engine = await makeEngine();
  const found = (model) => [namedFiles(model), engine.openModel(model, { check: false }).info.files.map(({ name }) => name)];
  const weights = new Weights((name) => `${name}.bin`);
  const graph = (name) => join(weights.tensor(name, [1], [1]), node('Add', ['p', name], `${name}.out`), bytes(12, text(1, `${name}.out`)));
  const branch = (key, name) => bytes(5, join(text(1, key), bytes(6, graph(name)), integer(20, 5)));
  const branches = modelOf([
    node('If', ['c'], 'y', branch('then_branch', 'inner'), branch('else_branch', 'other')), weights.tensor('p', [1], [1]), value(11, 'c', [1]), value(12, 'y', [1])]);
  for (const [model, names] of [
    [golden('external.onnx'), ['bias.bin', 'external.onnx.data']], [golden('external_inside.onnx'), []], [ONE.bytes, ['one.onnx.data']],
    [MANY.bytes, ['%2e%2e', 'a b#c?.d', 'many/conv1', 'many/dense']], [branches, ['inner.bin', 'other.bin', 'p.bin']],
  ]) assert.deepEqual(found(model), [names, names]);

  const cut = golden('external.onnx');
  for (let size = 0; size < cut.length; ++size) namedFiles(cut.subarray(0, size));
  for (let at = 0; at < cut.length; ++at) {
    for (const mask of [1, 8, 128, 255]) {
      cut[at] ^= mask;
      let names;
      try {
        names = engine.openModel(cut, { check: false }).info.files.map(({ name }) => name);
      } catch {} // what the core refuses may name anything
      if (names) assert.deepEqual(names.filter((name) => !namedFiles(cut).includes(name)), [], `byte ${at} ^ ${mask}`);
      cut[at] ^= mask;
    }
  }
});

test('no name leads out of the folder', () => {
  const names = (location) => namedFiles(tinyModel({ where: (name) => (name === 'dense' ? location : undefined) }).bytes);
  for (const fine of ['w', 'a/b/c.data', '..w', 'w..', '...', 'é', '%2e%2e/w', 'a b']) assert.deepEqual(names(fine), [fine]);
  for (const out of ['/w', '../w', 'a/../w', 'a/..', '..', '.', './w', 'a//w', 'a/', 'a\\w', '..\\w', 'c:w', 'https://example.org/w', '//example.org/w', 'w\n', 'w\0', '\u2028/../w', 'a\n/../w'])
    assert.deepEqual(names(out), [], JSON.stringify(out));
  const many = (count) => modelOf(Array.from({ length: count }, (_, i) => new Weights(() => `${i}`).tensor(`w${i}`, [1], [1])));
  assert.deepEqual([namedFiles(many(4096)).length, namedFiles(many(4097)).length], [4096, 0]);
});

test('weights in another file take no more of WebAssembly’s memory than weights inside, and are given back', async () => {
  const side = 128;
  const layers = 8;
  const make = (where) => {
    const weights = new Weights(where);
    const parts = Array.from({ length: layers }, (_, i) => [
      node('Conv', [i ? `h${i - 1}` : 'c', `w${i}`], `h${i}`, ints('pads', [1, 1, 1, 1])), weights.tensor(`w${i}`, [side, side, 3, 3], new Float32Array(side * side * 9).fill(0.01))]).flat();
    return { files: weights.files, bytes: modelOf([
      node('Conv', ['x', 'v'], 'c'), tensor('v', [side, 3, 1, 1], new Float32Array(side * 3).fill(0.1)), ...parts, node('GlobalAveragePool', [`h${layers - 1}`], 'p'),
      node('Flatten', ['p'], 'y'), value(11, 'x', ['N', 3, 8, 8]), value(12, 'y', ['N', side])]) };
  };
  const took = async ({ bytes: model, files }) => {
    const engine = await makeEngine();
    const setup = { module: MODULE, variant: 'simd', model, files: Object.entries(files).map(([name, content]) => ({ name, bytes: content })), preprocess: PREPROCESS };
    const runner = new Runner(engine, setup);
    runner.prepare();
    assert.deepEqual([setup.model.length, setup.files.length], [0, 0], 'neither is held on to');
    runner.close();
    return engine.memoryBytes;
  };
  const inside = await took(make());
  const outside = await took(make((name) => (name[0] === 'w' ? 'w.data' : undefined)));
  const weight = side * side * 9 * 4;
  assert.ok(inside > layers * weight, `${inside} bytes`);
  // The holes that the heap is left with decide whether one weight more or less fits into them.
  assert.ok(Math.abs(outside - inside) <= weight + 2 * 65536, `${inside} bytes with the weights inside, ${outside} without`);
});

test('together they may be as large as a model may', async () => {
  const engine = await makeEngine();
  const before = engine.memoryBytes;
  const large = new Uint8Array(LARGEST.model); // no page of it is ever touched
  assert.equal(codeOf(() => engine.openModel(ONE.bytes, { files: [{ name: 'one.onnx.data', bytes: large }] })), 'LIMIT_EXCEEDED');
  assert.equal(engine.memoryBytes, before);
  const load = (data) => said(loadDetector({ model: { model: ONE.bytes, files: { 'one.onnx.data': data } }, profile: profiles.one, workers: 0 }));
  assert.equal(await load(large), `LIMIT_EXCEEDED: the model and its files have more than the ${LARGEST.model} bytes that a model may have`);
  assert.equal(await load(new Uint8Array(LARGEST.model + 1)), `LIMIT_EXCEEDED: the file has ${LARGEST.model + 1} bytes; a model may have ${LARGEST.model}`);
});

test('nac takes the files beside the model', async () => {
  const model = scene.file('many', 'many.onnx');
  const profile = scene.file('many', 'made.safetensors');
  const info = await nac('info', model);
  assert.match(info.stdout, /\nweights {3}in %2e%2e and 3 more\n/);
  assert.match(info.stdout, /\ntaps {6}auto: pool/);
  const built = await nac('profile', '--model', model, '--id', scene.file('id'), '--preset', scene.file('preset.json'), '--out', profile);
  assert.equal(built.code, 0, built.stderr);
  const scored = await nac('score', '--model', model, '--profile', profile, scene.file('fresh'), '--json', '--timings');
  assert.equal(scored.code, 0, scored.stderr);
  assert.equal(scored.json.results.length, 10);
  assert.ok(scored.json.timings.layers.length > 0);
  const evaluated = await nac('eval', '--model', model, '--profile', profile, '--id', scene.file('fresh'), '--far', `noise=${scene.file('ood')}`, '--reference', scene.file('id'), '--json');
  assert.equal(evaluated.code, 0, evaluated.stderr);
  assert.ok('vim' in evaluated.json.sets[0].methods, 'which reads weights');

  writeFileSync(scene.file('alone.onnx'), ONE.bytes);
  const alone = await nac('info', scene.file('alone.onnx'), '--json');
  assert.equal(alone.code, 0, alone.stderr);
  assert.deepEqual(alone.json.model.files, [{ name: 'one.onnx.data', bytes: ONE.files['one.onnx.data'].length }]);
  assert.equal(alone.json.note, "it cannot be run here: weights lie in 'one.onnx.data', which is missing: it is needed beside the model");
  const refused = await nac('states', '--model', scene.file('alone.onnx'), '--preset', scene.file('preset.json'), scene.file('fresh'), '--out', scene.file('states.safetensors'));
  assert.equal(refused.code, 3);
  assert.match(refused.stderr, /alone\.onnx: weights lie in 'one\.onnx\.data', which is missing: put it beside the model \(.*one\.onnx\.data: no such file\)\n$/);
});
