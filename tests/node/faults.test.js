// Real workers that hang, trap, end, or are killed at random: each costs the image it had and nothing else.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { Worker } from 'node:worker_threads';
import { buildProfile, loadDetector } from '../../wasm/js/node.js';
import { random } from '../../wasm/js/subset.js';
import { PREPROCESS, encodePng, makeScene, noise } from './helpers/scene.js';

const IMAGES = 500;
const TIMEOUT = 2500;
let scene;
let profile;

/** Image `i`, with a fault behind its end or none. */
const image = (i, fault = '') => ({
  name: `${i}`,
  load: async () => Buffer.concat([encodePng(noise(i), 8, 8), Buffer.from(fault)]),
});
const lazy = (first, count) => Array.from({ length: count }, (_, i) => image(first + i));

/** Workers as the Node host makes them, but of faulty-worker.js; `kill()` ends one that has begun, busy or not. */
function faultyHost() {
  const alive = new Set();
  const log = { started: 0, killed: 0 };
  const createWorker = ({ message, failure }) => {
    const worker = new Worker(new URL('./helpers/faulty-worker.js', import.meta.url));
    ++log.started;
    worker.on('message', (data) => {
      alive.add(worker);
      message(data);
    });
    worker.on('error', (error) => failure(error.message));
    worker.on('exit', (code) => {
      alive.delete(worker);
      failure(`it ended with code ${code}`);
    });
    return { post: (data, transfer = []) => worker.postMessage(data, transfer), close: () => void worker.terminate() };
  };
  const kill = (pick) => {
    const worker = [...alive][Math.floor(pick * alive.size)];
    if (worker) ++log.killed;
    void worker?.terminate();
  };
  return { createWorker, kill, alive, log };
}

const load = (options) => loadDetector({ model: scene.file('tiny.onnx'), profile, variant: 'simd', ...options });

before(async () => {
  scene = makeScene();
  profile = await buildProfile({ model: scene.file('tiny.onnx'), images: lazy(0, 60), holdout: lazy(500, 40), preprocess: PREPROCESS, variant: 'simd' });
});
after(() => scene.remove());

test('hundreds of images through workers that hang, trap, end and are killed: none lost, none twice, in order, every score right', async () => {
  const plain = await load({ workers: 0 });
  const expected = [];
  for await (const { score } of plain.scoreAll(lazy(2000, IMAGES))) expected.push(score);
  plain.close();
  assert.ok(new Set(expected).size > 20, 'the images must differ for this to mean anything');

  const next = random(77);
  const faults = Array.from({ length: IMAGES }, (_, i) => (i % 160 === 80 ? 'hang' : next() < 0.03 ? 'trap' : next() < 0.03 ? 'exit' : ''));
  const host = faultyHost();
  const detector = await load({ workers: 3, createWorker: host.createWorker, timeout: TIMEOUT });
  const results = [];
  for await (const result of detector.scoreAll(faults.map((fault, i) => image(2000 + i, fault)))) {
    results.push(result);
    if (next() < 0.06) host.kill(next());
  }
  assert.deepEqual(results.map(({ file }) => file), faults.map((_, i) => `${2000 + i}`));
  let killed = 0;
  results.forEach(({ error, score }, i) => {
    const wanted = { hang: 'TIMEOUT', trap: 'WORKER_FAILED', exit: 'WORKER_FAILED' }[faults[i]];
    // A kill may come first, and to anyone.
    if (wanted) return assert.ok(error?.code === wanted || error?.code === 'WORKER_FAILED', `image ${i} (${faults[i]}): ${error?.code}`);
    if (error) ++killed;
    if (error) return assert.match(error.message, /a worker stopped/);
    assert.equal(score, expected[i]);
  });
  assert.ok(host.log.killed > 0 && killed <= host.log.killed, `${killed} images for ${host.log.killed} kills`);
  assert.ok(results.some(({ error }) => error?.code === 'TIMEOUT'));
  assert.ok((await detector.score(encodePng(noise(2000), 8, 8))).score === expected[0], 'and the pool still works');
  detector.close();
});

test('a worker that hangs costs its time budget, and says so', async () => {
  const host = faultyHost();
  const detector = await load({ workers: 1, createWorker: host.createWorker, timeout: 1500 });
  const start = performance.now();
  await assert.rejects(detector.score(Buffer.concat([encodePng(noise(1), 8, 8), Buffer.from('hang')])), { code: 'TIMEOUT', message: 'an image took longer than 1.5 s' });
  assert.ok(performance.now() - start >= 1490);
  assert.ok((await detector.score(encodePng(noise(1), 8, 8))).score >= 0);
  assert.equal(host.log.started, 2);
  detector.close();
});

test('a model that cannot be made ready in time ends loading', async () => {
  const workers = [];
  const createWorker = () => {
    const worker = new Worker('for (;;);', { eval: true });
    workers.push(worker);
    return { post: (data) => worker.postMessage(data), close: () => void worker.terminate() };
  };
  await assert.rejects(load({ workers: 2, createWorker, timeout: 300 }), { code: 'TIMEOUT', message: 'the model could not be made ready within 0.3 s' });
  assert.equal(workers.length, 1);
});

test('a worker killed while it starts costs nothing', async () => {
  const host = faultyHost();
  let first = true;
  const createWorker = (listeners) => {
    const worker = host.createWorker(listeners);
    if (!first) return worker;
    first = false;
    return { ...worker, post: () => listeners.failure('it was killed') };
  };
  const detector = await load({ workers: 1, createWorker });
  assert.ok((await detector.score(encodePng(noise(1), 8, 8))).score >= 0);
  detector.close();
});

test('once a worker has started, more starts may crash in a row, but not for ever', async () => {
  const host = faultyHost();
  let started = 0, failing = 0;
  const createWorker = (listeners) => {
    ++started;
    const worker = host.createWorker(listeners);
    return failing-- > 0 ? { ...worker, post: () => listeners.failure('it was killed') } : worker;
  };
  const detector = await load({ workers: 1, createWorker });
  const trap = Buffer.concat([encodePng(noise(1), 8, 8), Buffer.from('trap')]);
  failing = 9;
  await assert.rejects(detector.score(trap), { code: 'WORKER_FAILED' });
  assert.ok((await detector.score(encodePng(noise(1), 8, 8))).score >= 0);
  assert.equal(started, 11);
  failing = Infinity;
  await assert.rejects(detector.score(trap), { code: 'WORKER_FAILED' });
  await assert.rejects(detector.score(encodePng(noise(1), 8, 8)), { code: 'WORKER_FAILED' });
  assert.equal(started, 21);
  detector.close();
});

test('workers that crash before they are ready are tried three times, not for ever', async () => {
  let started = 0;
  const createWorker = ({ failure }) => {
    ++started;
    const worker = new Worker('process.exit(1)', { eval: true });
    worker.on('exit', (code) => failure(`it ended with code ${code}`));
    return { post: (data) => worker.postMessage(data), close: () => void worker.terminate() };
  };
  await assert.rejects(load({ workers: 1, createWorker }), { code: 'WORKER_FAILED', message: /ended with code 1/ });
  assert.equal(started, 3);
});
