// The binding: what the core computes arrives in JavaScript, and what goes wrong arrives as a NacError.
import assert from 'node:assert/strict';
import test from 'node:test';
import { codeOf, makeEngine } from './helpers/engine.js';
import { bytes, join, runTiny, text, tinyModel } from './helpers/onnx.js';
import { encodePng, noise, PREPROCESS } from './helpers/scene.js';

const TAPS = [{ name: 'features', pool: 'sum' }, { name: 'stage2', pool: 'sum' }, { name: 'stage1', pool: 'sum' }];
const close = (actual, expected, tolerance, what) =>
  expected.forEach((value, i) => assert.ok(Math.abs(actual[i] - value) <= tolerance, `${what}[${i}]: ${actual[i]}, not ${value}`));

/** A random input, NHWC for the session and NCHW for the reference. */
function randomInput(seed, size = 8) {
  const pixels = noise(seed, size);
  const nhwc = Float32Array.from(pixels, (value) => value / 128 - 1);
  const nchw = Float32Array.from(nhwc, (_, i) => nhwc[(i % (size * size)) * 3 + Math.floor(i / (size * size))]);
  return { nhwc, nchw };
}

function runSession(engine, model, inputs, options = {}) {
  const opened = engine.openModel(model.bytes);
  const session = engine.createSession(opened, { batch: inputs.length, height: 8, width: 8, taps: TAPS, ...options });
  opened.close();
  inputs.forEach((input, n) => session.input(n).set(input));
  session.forward();
  session.backward();
  return session;
}

test('a PNG arrives pixel by pixel, and a tile is cut as it lies there', async () => {
  const engine = await makeEngine();
  const preprocess = engine.preprocess(PREPROCESS);
  const pixels = noise(3, 8);
  const image = engine.decodeImage(encodePng(pixels, 8, 8), preprocess);
  assert.deepEqual([image.width, image.height], [8, 8]);
  assert.deepEqual(image.pixels(), pixels);
  const same = engine.imageFromPixels(pixels, 8, 8, preprocess);
  assert.deepEqual(same.pixels(), pixels);
  assert.deepEqual([image.resize(4, 2).width, image.resize(4, 2).height], [4, 2]);
});

test('pixels are counted before they are read', async () => {
  const engine = await makeEngine();
  const preprocess = engine.preprocess('cifar10');
  assert.equal(codeOf(() => engine.imageFromPixels(new Uint8Array(10), 8, 8, preprocess)), 'INVALID_ARGUMENT');
  assert.equal(codeOf(() => engine.imageFromPixels(new Uint8Array(0), 0, 0, preprocess)), 'INVALID_ARGUMENT');
});

test('presets and JSON become preprocessing, and mistakes in them are named', async () => {
  const engine = await makeEngine();
  assert.deepEqual(engine.preprocess('imagenet').size(640, 480), { width: 224, height: 224 });
  assert.equal(engine.preprocess('imagenet').fixed, true);
  assert.equal(engine.preprocess({ resize: null, crop: null }).fixed, false);
  assert.equal(codeOf(() => engine.preprocess('no such preset')), 'INVALID_ARGUMENT');
  assert.equal(codeOf(() => engine.preprocess({ sharpen: true })), 'MALFORMED');
});

test('bytes that are no image say so by their code', async () => {
  const engine = await makeEngine();
  const preprocess = engine.preprocess('cifar10');
  const png = encodePng(noise(1), 8, 8);
  assert.equal(codeOf(() => engine.decodeImage(new TextEncoder().encode('GIF89a and more'), preprocess)), 'UNSUPPORTED');
  assert.equal(codeOf(() => engine.decodeImage(png.subarray(0, 60), preprocess)), 'MALFORMED');
  assert.equal(codeOf(() => engine.decodeImage(new Uint8Array(0), preprocess)), 'MALFORMED');
});

test('logits and pooled activations are those of a plain loop, and g = W^T (p - 1/K) at the features', async () => {
  const engine = await makeEngine();
  const model = tinyModel();
  for (const seed of [1, 2, 3]) {
    const { nhwc, nchw } = randomInput(seed);
    const session = runSession(engine, model, [nhwc]);
    const expected = runTiny(model, nchw);
    // float32 against double over sums of 54 products of size 1.
    close(session.logits(), expected.logits, 2e-5, 'logits');
    close(session.z(0), expected.features, 1e-5, 'z');
    close(session.g(0), expected.gradient, 1e-5, 'g');
    close(session.z(1), expected.sums, 1e-4, 'sums');
    // The mean spreads its gradient over 16 positions, and the sum over positions gathers it where the ReLU lets it through.
    assert.ok(session.g(1).some((value) => value !== 0));
  }
});

test('a whole activation is the tap before pooling', async () => {
  const engine = await makeEngine();
  const model = tinyModel();
  const { nhwc, nchw } = randomInput(7);
  const session = runSession(engine, model, [nhwc], { keepMaps: true });
  const { dims, values } = session.map(2);
  assert.deepEqual(dims, [1, 8, 8, 6]);
  const { stage1 } = runTiny(model, nchw);
  close(values, Array.from(values, (_, i) => stage1[(i % 6) * 64 + Math.floor(i / 6)]), 1e-5, 'map');
  assert.equal(runSession(engine, model, [nhwc]).map(2), null);
});

test('an image alone and in a batch gives the same bits', async () => {
  const engine = await makeEngine();
  const model = tinyModel();
  const inputs = [4, 5, 6].map((seed) => randomInput(seed).nhwc);
  const together = runSession(engine, model, inputs);
  inputs.forEach((input, n) => {
    const alone = runSession(engine, model, [input]);
    assert.deepEqual(together.logits().slice(4 * n, 4 * n + 4), alone.logits());
    TAPS.forEach((_, tap) => {
      const { neurons } = alone.taps[tap];
      assert.deepEqual(together.z(tap).slice(n * neurons, (n + 1) * neurons), alone.z(tap));
      assert.deepEqual(together.g(tap).slice(n * neurons, (n + 1) * neurons), alone.g(tap));
    });
  });
});

test('both backends agree', async () => {
  const engine = await makeEngine();
  const { nhwc } = randomInput(8);
  const fast = runSession(engine, tinyModel(), [nhwc]);
  const plain = runSession(engine, tinyModel(), [nhwc], { backend: 'reference' });
  close(fast.logits(), [...plain.logits()], 1e-5, 'logits');
  TAPS.forEach((_, tap) => close(fast.g(tap), [...plain.g(tap)], 1e-5, 'g'));
});

test('models, taps and sizes that do not fit are refused with a reason', async () => {
  const engine = await makeEngine();
  assert.equal(codeOf(() => engine.openModel(new TextEncoder().encode('not a model'))), 'MALFORMED');
  assert.throws(() => engine.openModel(tinyModel({ op: 'Erf2' }).bytes), { code: 'UNSUPPORTED', message: /Erf2/ });
  const model = engine.openModel(tinyModel().bytes);
  assert.throws(() => engine.createSession(model, { taps: [{ name: 'nowhere', pool: 'sum' }] }), { message: /nowhere/ });
  assert.notEqual(codeOf(() => engine.createSession(model, { batch: 0 })), 'no error');
  const fixed = engine.openModel(tinyModel({ batch: 1 }).bytes);
  assert.notEqual(codeOf(() => engine.createSession(fixed, { batch: 2 })), 'no error');
});

test('counts outside of a profile score as the profile does, and NAC-ME is its definition', async () => {
  const engine = await makeEngine();
  const states = (first, count) => Float32Array.from({ length: 3 * count }, (_, i) => noise(first)[i % 192] / 50 - 2);
  const layer = { name: 'a', pool: 'sum', neurons: 3, alpha: 2, M: 50, O: 4 };
  const profile = engine.createProfile([layer]);
  const coverage = engine.createCoverage(layer);
  profile.add(20, [states(1, 20)], [states(2, 20)]);
  coverage.add(states(1, 20), states(2, 20));
  const expected = profile.score(9, [states(3, 9)], [states(4, 9)]).layerScores;
  const [four, forty] = coverage.score(states(3, 9), states(4, 9), [4, 40]);
  assert.deepEqual(four, expected);
  assert.ok(forty.some((score, n) => score < four[n]), 'more images to fill a bin, less covered');
  assert.throws(() => coverage.add(new Float32Array(4), new Float32Array(4)), { code: 'MISMATCH' });

  // Two neurons; states 0.5 (a dead unit) twice and about 1: with edges 0, 1/3, 2/3, 1 two bins of the first are hit.
  const linear = engine.createCoverage({ neurons: 2, alpha: 1, M: 4, linear: true });
  linear.add(Float32Array.of(0, 0, 0, 0, 3, 0), Float32Array.of(1, 1, 1, 1, 1, 1));
  // Neuron 0: min(2/2, 1) + min(1/2, 1); neuron 1: min(3/2, 1); each over the 4 edges.
  assert.ok(Math.abs(linear.modelCoverage(2) - (1.5 / 4 + 1 / 4) / 2) < 1e-12);
});

test('what has been closed cannot be used', async () => {
  const engine = await makeEngine();
  const model = engine.openModel(tinyModel().bytes);
  const session = engine.createSession(model);
  session.close();
  session.close();
  model.close();
  for (const use of [() => session.forward(), () => session.input(), () => session.logits(), () => engine.createSession(model)])
    assert.equal(codeOf(use), 'CLOSED');
});

test('a session closes its model when it is told to, even where nothing comes of it', async () => {
  const engine = await makeEngine();
  const model = engine.openModel(tinyModel().bytes);
  engine.createSession(model, { height: 8, width: 8, closeModel: true }).close();
  const failing = engine.openModel(tinyModel().bytes);
  assert.throws(() => engine.createSession(failing, { taps: [{ name: 'nowhere', pool: 'sum' }], closeModel: true }), { message: /nowhere/ });
  for (const closed of [model, failing]) assert.equal(codeOf(() => engine.createSession(closed)), 'CLOSED');
  const before = engine.memoryBytes;
  const large = Buffer.concat([tinyModel().bytes, bytes(14, join(text(1, 'a note'), text(2, 'x'.repeat(4e6))))]);
  for (let i = 0; i < 20; ++i) {
    engine.createSession(engine.openModel(large), { height: 8, width: 8, closeModel: true }).close();
    codeOf(() => engine.createSession(engine.openModel(large), { batch: 0, closeModel: true }));
  }
  assert.ok(engine.memoryBytes - before < 8e6, 'the files of forty models were given back');
});

test('memory does not grow over thousands of runs', async () => {
  const engine = await makeEngine();
  const preprocess = engine.preprocess(PREPROCESS);
  const png = encodePng(noise(1), 8, 8);
  const model = engine.openModel(tinyModel().bytes);
  const session = engine.createSession(model, { height: 8, width: 8, taps: TAPS });
  const profile = engine.createProfile(session.taps.map((tap) => ({ ...tap, alpha: 1, M: 50, O: 5 })));
  const once = () => {
    const image = engine.decodeImage(png, preprocess);
    image.toTensor(preprocess, session.inputAddress);
    image.close();
    session.forward();
    session.backward();
    profile.scoreSession(session);
    engine.baselines(session.logits());
    codeOf(() => engine.decodeImage(png.subarray(0, 50), preprocess));
    codeOf(() => engine.openModel(png));
  };
  const whole = () => {
    const opened = engine.openModel(tinyModel().bytes);
    engine.createSession(opened, { height: 8, width: 8, taps: TAPS }).close();
    opened.close();
    engine.openProfile(profile.save()).close();
  };
  for (let i = 0; i < 50; ++i) once();
  for (let i = 0; i < 20; ++i) whole();
  const room = fillMemory(engine);
  const before = engine.memoryBytes;
  for (let i = 0; i < 3000; ++i) once();
  for (let i = 0; i < 200; ++i) whole();
  assert.equal(engine.memoryBytes, before);
  for (const image of room) image.close();
});

/**
 * Fills the free memory, so that small leaks must grow it: it grows by what is asked for, not by more. 0.2 MB are given back for
 * what a run needs, which 3000 runs that lose 70 bytes each would use up.
 */
function fillMemory(engine) {
  const preprocess = engine.preprocess(PREPROCESS);
  const side = 256;
  const room = [];
  const before = engine.memoryBytes;
  while (engine.memoryBytes === before) room.push(engine.imageFromPixels(new Uint8Array(3 * side * side), side, side, preprocess));
  room.pop().close();
  return room;
}
