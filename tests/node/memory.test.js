// Memory in WebAssembly: what does not fit is refused with a number, what comes next still works, and nothing grows for ever.
import assert from 'node:assert/strict';
import test from 'node:test';
import v8 from 'node:v8';
import vm from 'node:vm';
import { Engine } from '../../wasm/js/engine.js';
import { buildProfile } from '../../wasm/js/node.js';
import { Runner } from '../../wasm/js/runner.js';
import { random } from '../../wasm/js/subset.js';
import { MODULE, makeEngine, moduleOfMemory } from './helpers/engine.js';
import { animatedPng, bombPng, pngOfSize } from './helpers/images.js';
import { ints, modelOf, node, tensor, tinyModel, value } from './helpers/onnx.js';
import { PREPROCESS, encodePng, noise } from './helpers/scene.js';

const MB = 1e6;

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

test(`${IMAGES} images of all kinds: memory stays what it was, and every score is that of the image alone`, async () => {
  const make = (i) => encodePng(noise(i, 8 + (i % 5)), 8 + (i % 5), 8 + (i % 5));
  const model = tinyModel().bytes;
  const lazy = (first, count) => Array.from({ length: count }, (_, i) => ({ name: `${first + i}`, load: async () => make(first + i) }));
  const profile = await buildProfile({ model, images: lazy(0, 60), holdout: lazy(500, 40), preprocess: PREPROCESS, layers: ['features', 'stage1'], variant: 'simd', workers: 0 });
  const runner = () => Runner.create({ module: MODULE, variant: 'simd', model: model.slice(), profile });
  const score = async (who, bytes, explain) => (await who.run({ kind: 'score', image: { bytes }, explain })).result.score;

  // Twenty kinds of picture, and files that are none; each alone in a runner of its own.
  const kinds = Array.from({ length: 20 }, (_, i) => make(1000 + i));
  kinds[3] = animatedPng(encodePng(noise(3), 8, 8));
  const alone = [];
  for (const bytes of kinds) {
    const own = await runner();
    alone.push(await score(own, bytes));
    own.close();
  }
  const refused = [pngOfSize(9000, 9000), pngOfSize(0, 1), kinds[0].subarray(0, 70), new TextEncoder().encode('<html>'), new Uint8Array(0)];

  const one = await runner();
  const next = random(5);
  const collect = vm.runInNewContext((v8.setFlagsFromString('--expose-gc'), 'gc'));
  const heapNow = () => (collect(), process.memoryUsage().heapUsed);
  let pages = 0;
  let heap = 0;
  for (let i = 0; i < IMAGES; ++i) {
    if (next() < 0.2) {
      const bad = refused[Math.floor(next() * refused.length)];
      await assert.rejects(score(one, bad), { name: 'NacError' });
    } else {
      const kind = Math.floor(next() * kinds.length);
      assert.equal(await score(one, kinds[kind], next() < 0.2), alone[kind], `image ${i}, kind ${kind}`);
    }
    if (i === Math.floor(IMAGES / 6)) {
      pages = one.describe().memoryBytes;
      heap = heapNow();
    }
  }
  assert.equal(one.describe().memoryBytes, pages, 'wasm memory grew');
  // The collector's own noise is some hundred KB; a leak of one result an image would be more.
  assert.ok(heapNow() - heap < 1.5 * MB, `JavaScript's heap grew by ${heapNow() - heap} bytes`);
  one.close();
});
