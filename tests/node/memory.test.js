// Memory in WebAssembly: what does not fit is refused with a number, what comes next still works, and nothing grows for ever.
import assert from 'node:assert/strict';
import test, { before } from 'node:test';
import v8 from 'node:v8';
import vm from 'node:vm';
import { Engine } from '../../wasm/js/engine.js';
import { Heap } from '../../wasm/js/engine/heap.js';
import { host } from '../../wasm/js/host-node.js';
import { buildProfile, loadDetector } from '../../wasm/js/node.js';
import { Runner } from '../../wasm/js/runner.js';
import { random } from '../../wasm/js/subset.js';
import { serve } from '../../wasm/js/worker.js';
import { MODULE, makeEngine, moduleOfMemory } from './helpers/engine.js';
import { bombPng } from './helpers/images.js';
import { readable, refused } from './helpers/kinds.js';
import { ints, modelOf, node, tensor, tinyModel, value } from './helpers/onnx.js';
import { PREPROCESS, encodePng, noise } from './helpers/scene.js';

const MB = 1e6;

/** Collects garbage. */
const collect = vm.runInNewContext((v8.setFlagsFromString('--expose-gc'), 'gc'));

/** A convolution and a mean over an image of this many pixels a side; `channels` makes the weights heavy. */
function largeModel(side, channels = 4) {
  const weights = new Float32Array(channels * 27).fill(0.1);
  return modelOf([
    node('Conv', ['x', 'w'], 'c'), node('GlobalAveragePool', ['c'], 'p'), node('Flatten', ['p'], 'y'),
    tensor('w', [channels, 3, 3, 3], weights), value(11, 'x', ['N', 3, side, side]), value(12, 'y', ['N', channels]),
  ]);
}

/** Opens the model, and what it says when a session does not come of it. */
function refusal(engine, bytes, options) {
  let model;
  try {
    model = engine.openModel(bytes);
    engine.createSession(model, options).close();
  } catch (error) {
    assert.equal(error.name, 'NacError', error.stack);
    return `${error.code}: ${error.message}`;
  } finally {
    model?.close();
  }
  return 'fine';
}

/** Logits of the tiny model. */
function tinyLogits(engine) {
  const model = engine.openModel(tinyModel().bytes);
  const session = engine.createSession(model, { height: 8, width: 8 });
  session.input().set(Float32Array.from(noise(1), (x) => x / 255));
  session.forward();
  const logits = session.logits().slice();
  session.close();
  model.close();
  return logits;
}

test('a model that is too large says how much it needs, and the next one works', async () => {
  const engine = await makeEngine();
  const expected = tinyLogits(engine);
  const before = engine.memoryBytes;
  assert.equal(refusal(engine, largeModel(20000)), "LIMIT_EXCEEDED: tensor 'x' would take 4800.0 MB; 2147.5 MB is the limit");
  // Each tensor may be, the three that live at once may not.
  const image = value(11, 'x', ['N', 3, 11000, 11000]);
  const weights = ['v', 'w'].map((name) => tensor(name, [3, 3, 1, 1], new Float32Array(9).fill(1)));
  const three = modelOf([node('Conv', ['x', 'v'], 'a'), node('Conv', ['x', 'w'], 'b'), node('Add', ['a', 'b'], 'c'), node('GlobalAveragePool', ['c'], 'p'), node('Flatten', ['p'], 'y'), ...weights, image, value(12, 'y', ['N', 3])]);
  assert.equal(refusal(engine, three), 'LIMIT_EXCEEDED: this network needs more than 4295.0 MB for activations and gradients, which cannot be addressed here');
  assert.equal(engine.memoryBytes, before, 'no memory was taken for what was refused');
  assert.deepEqual(tinyLogits(engine), expected);
});

/** Convolutions of [inputs, outputs, side of the window, stride], each behind a ReLU; the classes are the last one's outputs. */
function heavyModel(layers) {
  const parts = layers.flatMap(([Ci, Co, side, stride], i) => {
    const weights = Float32Array.from({ length: Co * Ci * side * side }, (_, k) => Math.sin(k) / 16);
    const attributes = [ints('kernel_shape', [side, side]), ints('strides', [stride, stride]), ints('pads', Array(4).fill((side - 1) / 2))];
    return [node('Conv', [i ? `h${i - 1}` : 'x', `w${i}`], `c${i}`, ...attributes), node('Relu', [`c${i}`], `h${i}`), tensor(`w${i}`, [Co, Ci, side, side], weights)];
  });
  const last = layers.length - 1;
  return modelOf([
    ...parts, node('GlobalAveragePool', [`h${last}`], 'p'), node('Flatten', ['p'], 'y'), value(11, 'x', ['N', 3, 16, 16]), value(12, 'y', ['N', layers[last][1]]),
  ]);
}

for (const [name, layers] of [
  // Packed for both directions: twice the file.
  ['products', [[3, 1024, 1, 1], ...Array(10).fill([1024, 1024, 1, 1])]],
  // Transformed to 16/9 of their size, most of it in the last layers, as in a ResNet-18.
  ['3x3 convolutions', [[3, 128, 3, 1], ...Array(3).fill([128, 128, 3, 1]), [128, 256, 3, 2], ...Array(3).fill([256, 256, 3, 1]), [256, 512, 3, 2], ...Array(3).fill([512, 512, 3, 1])]],
])
  test(`weights are held once while they change their form, and the file is gone before they are packed: ${name}`, async () => {
    const model = heavyModel(layers);
    const engine = await makeEngine();
    const session = engine.createSession(engine.openModel(model), { taps: [{ name: 'h0', pool: 'sum' }], closeModel: true });
    const ratio = (engine.memoryBytes - session.info.arenaBytes) / model.length;
    // The rest is the program itself, one set of weights in both forms, and holes.
    assert.ok(ratio < 2.5, `${ratio} times the file`);
    session.close();
  });

test('room for a model on its way is made once, and is what the model takes then', async () => {
  const engine = await makeEngine();
  const bytes = heavyModel([[3, 1024, 1, 1], ...Array(10).fill([1024, 1024, 1, 1])]);
  const start = engine.memoryBytes;
  const incoming = engine.receiveModel(bytes.length);
  incoming.add(bytes.subarray(0, 1000));
  engine.expectWeights(incoming);
  const reserved = engine.memoryBytes;
  assert.ok(reserved > start && reserved > 2 * bytes.length, `${start} bytes became ${reserved}`);
  assert.equal(incoming.add(new Uint8Array(bytes.length)), false, 'more than was promised');
  assert.equal(incoming.add(bytes.subarray(1000)), true);
  engine.expectWeights(incoming);
  assert.ok(Buffer.from(bytes).equals(incoming.bytes()));
  const model = engine.openModel(incoming);
  assert.throws(() => incoming.bytes(), { code: 'CLOSED' }, 'it is the model\'s now');
  assert.equal(model.bytes, bytes.length);
  model.close();
  assert.equal(engine.memoryBytes, reserved);
  assert.throws(() => engine.receiveModel(2 ** 31), { code: 'LIMIT_EXCEEDED' });
  assert.equal(tinyLogits(engine).length > 0, true);
});

test('a worker that gets its model whole gives up the room for one that came in pieces', async () => {
  const model = heavyModel([[3, 1024, 1, 1], ...Array(10).fill([1024, 1024, 1, 1])]);
  const memoryAfter = async (messages) => {
    const told = [];
    let hear;
    serve({ post: (message) => told.push(message), listen: (listener) => (hear = listener) });
    for (const message of messages) await hear(message);
    await hear({ setup: { module: MODULE, variant: 'simd', preprocess: { ...PREPROCESS, resize: { width: 16, height: 16 } }, taps: [{ name: 'h0', pool: 'sum' }], model } });
    return told.pop().ready.memoryBytes;
  };
  const whole = await memoryAfter([{ module: MODULE }]);
  const after = await memoryAfter([{ module: MODULE }, { piece: model.slice(0, 1000), total: model.length }]);
  assert.ok(after < whole + model.length / 2, `${after} bytes, and ${whole} without pieces`);
});

test('memory that is going to be needed is written to page by page, as far as is said', () => {
  const memory = new WebAssembly.Memory({ initial: 3 });
  const heap = new Heap({ memory, malloc: () => 2 ** 16, free() {}, nacw_error: () => 0 });
  const bytes = new Uint8Array(memory.buffer).fill(7);
  const written = () => Array.from(bytes.entries()).filter(([, byte]) => byte === 0).map(([at]) => at - 2 ** 16);
  heap.warm(5000, 20_000);
  assert.deepEqual(written(), [0, 4096]);
  heap.warm(30_000, 20_000);
  assert.deepEqual(written(), [0, 4096, 8192, 12288, 16384]);
});

test('sizes that XNNPACK would multiply past 32 bits are left to plain loops', async () => {
  // 1250 x 1250 windows of 27 x 27 pixels, four bytes each: 4.56 GB of pointers, of which 32 bits keep 0.26.
  const weights = tensor('w', [2, 3, 27, 27], new Float32Array(2 * 3 * 729).fill(0.01));
  const model = modelOf([
    node('Conv', ['x', 'w'], 'c', ints('pads', [13, 13, 13, 13])), node('GlobalAveragePool', ['c'], 'p'), node('Flatten', ['p'], 'y'),
    weights, value(11, 'x', ['N', 3, 1250, 1250]), value(12, 'y', ['N', 2]),
  ]);
  const engine = await makeEngine();
  assert.equal(refusal(engine, model), 'fine');
  assert.ok(engine.memoryBytes < 200 * MB, `${engine.memoryBytes} bytes`);
  assert.equal(tinyLogits(engine).length, 4);
});

test('memory that runs out in the middle is an error, gives back what it had, and the next one works', async () => {
  const engine = await Engine.create(moduleOfMemory(64 * MB));
  const expected = tinyLogits(engine);
  assert.deepEqual(expected, tinyLogits(await makeEngine()));
  const preprocess = engine.preprocess('imagenet');
  for (let round = 0; round < 20; ++round) {
    assert.match(refusal(engine, largeModel(2000)), /^OUT_OF_MEMORY: this network's plan needs \d+\.\d MB for activations and gradients, which are not to be had/);
    assert.match(refusal(engine, new Uint8Array(80 * MB)), /^OUT_OF_MEMORY: memory ran out: 80000000 bytes more are needed/);
    assert.throws(() => engine.decodeImage(bombPng(5000, 4000), preprocess), { code: 'OUT_OF_MEMORY' });
    assert.deepEqual(tinyLogits(engine), expected);
  }
  // What there is can still be had: nothing was lost.
  assert.equal(refusal(engine, largeModel(700)), 'fine');
});

// NAC_SOAK=10000 makes it long: node --test tests/node/memory.test.js
const IMAGES = Number(process.env.NAC_SOAK) || 600;

const model = tinyModel().bytes;
let profile;
/** What each readable kind scores in a runner of its own. @type {number[]} */
let alone;
const kinds = readable();
const broken = refused();
const makeRunner = () => Runner.create({ module: MODULE, variant: 'simd', model: model.slice(), profile });
const score = async (runner, bytes, explain) => (await runner.run({ kind: 'score', image: { bytes }, explain })).result.score;

before(async () => {
  const lazy = (first, count) => Array.from({ length: count }, (_, i) => ({ name: `${first + i}`, load: async () => encodePng(noise(first + i), 8, 8) }));
  profile = await buildProfile({ model, images: lazy(0, 60), holdout: lazy(500, 40), preprocess: PREPROCESS, layers: ['features', 'stage1'], variant: 'simd', workers: 0 });
  alone = [];
  for (const bytes of kinds) {
    const own = await makeRunner();
    alone.push(await score(own, bytes));
    own.close();
  }
});

test(`${IMAGES} files of all kinds: memory stays what it was, and every score is that of the image alone`, async () => {
  const one = await makeRunner();
  const next = random(5);
  const heapNow = () => (collect(), process.memoryUsage().heapUsed);
  // Every kind once, the largest among them, before anything is measured.
  for (const bytes of kinds) await score(one, bytes, true);
  for (const bytes of broken) await assert.rejects(score(one, bytes), { name: 'NacError' });
  const pages = one.describe().memoryBytes;
  let heap = 0;
  for (let i = 0; i < IMAGES; ++i) {
    if (next() < 0.2) {
      const bad = broken[Math.floor(next() * broken.length)];
      await assert.rejects(score(one, bad), { name: 'NacError' });
    } else {
      const kind = Math.floor(next() * kinds.length);
      assert.equal(await score(one, kinds[kind], next() < 0.2), alone[kind], `image ${i}, kind ${kind}`);
    }
    if (i === Math.floor(IMAGES / 6)) heap = heapNow();
  }
  assert.equal(one.describe().memoryBytes, pages, 'wasm memory grew');
  // The collector's own noise is some hundred KB; a leak of one result an image would be more.
  assert.ok(heapNow() - heap < 1.5 * MB, `JavaScript's heap grew by ${heapNow() - heap} bytes`);
  one.close();
});

test(`${IMAGES} files through two workers: no more workers, and neither order nor company changes a score`, async () => {
  let workers = 0;
  const detector = await loadDetector({ model, profile, variant: 'simd', workers: 2, createWorker: (listeners) => (++workers, host.createWorker(listeners)) });
  const next = random(9);
  const chosen = Array.from({ length: IMAGES }, () => Math.floor(next() * (kinds.length + broken.length)));
  const files = chosen.map((kind) => ({ name: `${kind}`, load: async () => kinds[kind] ?? broken[kind - kinds.length] }));
  for (const order of [files, files.toReversed()]) {
    let done = 0;
    for await (const { file, score: scored, error } of detector.scoreAll(order)) {
      assert.equal(file, order[done++].name);
      if (error) assert.ok(Number(file) >= kinds.length && error.code !== 'WORKER_FAILED', `${file}: ${error.message}`);
      else assert.equal(scored, alone[Number(file)], `kind ${file}`);
    }
    assert.equal(done, IMAGES);
  }
  assert.equal(workers, 2);
  detector.close();
});
