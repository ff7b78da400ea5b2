// The pool in a real Chromium: workers that are killed, hang and trap under a thousand images, and a soak of all kinds of files.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildProfile, loadDetector } from '../../wasm/js/node.js';
import { random } from '../../wasm/js/subset.js';
import { readable, refused } from '../node/helpers/kinds.js';
import { tinyModel } from '../node/helpers/onnx.js';
import { PREPROCESS, encodePng, noise } from '../node/helpers/scene.js';
import { clean, launch, openPage, serve } from './helpers/browser.js';

const IMAGES = 1000;
// NAC_SOAK=10000 makes it long: node --test tests/browser/workers.test.js
const SOAK = Number(process.env.NAC_SOAK) || 600;
// Far more than an image takes on a busy machine: every worker that is ended in silence costs it.
const TIMEOUT = 6000;

const model = tinyModel().bytes;
const image = (i) => encodePng(noise(i), 8, 8);
const base64 = (bytes) => Buffer.from(bytes).toString('base64');
let browser, server, profile;

before(async () => {
  const lazy = (first, count) => Array.from({ length: count }, (_, i) => ({ name: `${first + i}`, load: async () => image(first + i) }));
  profile = await buildProfile({ model, images: lazy(0, 60), holdout: lazy(500, 40), preprocess: PREPROCESS, variant: 'simd', workers: 0 });
  [browser, server] = await Promise.all([launch(['--js-flags=--expose-gc']), serve(fileURLToPath(new URL('../../', import.meta.url)))]);
});
after(async () => {
  await browser?.close();
  server?.close();
});

async function open(options) {
  const opened = await openPage(browser, `${server.address}tests/browser/workers/index.html`);
  await opened.page.waitForFunction(() => window.load);
  await opened.page.evaluate((given) => window.load(given), { model: base64(model), profile: base64(profile), ...options });
  return opened;
}

/** What each image scores alone, in Node: the binary is the same, and so are the bits. */
async function alone(images) {
  const scores = [];
  for (const bytes of images) {
    const detector = await loadDetector({ model, profile, variant: 'simd', workers: 0 });
    scores.push((await detector.score(bytes)).score);
    detector.close();
  }
  return scores;
}

test(`${IMAGES} images through workers that are killed, hang and trap: none lost, none twice, in order, every score that of Node`, async () => {
  const distinct = Array.from({ length: 50 }, (_, i) => image(2000 + i));
  const expected = await alone(distinct);
  assert.ok(new Set(expected).size > 20, 'the images must differ for this to mean anything');
  const next = random(78);
  const faults = Array.from({ length: IMAGES }, (_, i) => (i % 400 === 200 ? 'hang' : i % 500 === 100 ? 'exit' : next() < 0.02 ? 'trap' : ''));
  const images = faults.map((fault, i) => base64(Buffer.concat([distinct[i % distinct.length], Buffer.from(fault)])));

  const { page, elsewhere } = await open({ workers: 3, timeout: TIMEOUT });
  const { results, log } = await page.evaluate(([files, chances]) => window.scoreAll(files, chances), [images, { seed: 5, killed: 0.04, silenced: 0.005 }]);
  assert.deepEqual(results.map(({ file }) => file), faults.map((_, i) => `${i}`));
  const lost = results.filter(({ error }, i) => {
    const wanted = { hang: 'TIMEOUT', exit: 'TIMEOUT', trap: 'WORKER_FAILED' }[faults[i]];
    // A kill may come first, and to anyone.
    if (error) assert.ok(['TIMEOUT', 'WORKER_FAILED'].includes(error.code), `image ${i}: ${error.code}: ${error.message}`);
    if (wanted) assert.ok(error, `image ${i} should ${faults[i]}`);
    else if (!error) assert.equal(results[i].score, expected[i % distinct.length], `image ${i}`);
    return error && !wanted;
  });
  assert.ok(log.killed > 15 && lost.length > 0 && lost.length <= log.killed, `${lost.length} images for ${log.killed} kills`);
  assert.ok(results.some(({ error }) => error?.code === 'TIMEOUT') && results.some(({ error }) => error?.code === 'WORKER_FAILED'));
  // And the pool still works.
  const again = await page.evaluate((files) => window.scoreAll(files), [base64(distinct[0])]);
  assert.equal(again.results[0].score, expected[0]);
  assert.deepEqual(elsewhere, []);
  await page.context().close(); // its console says what was killed
});

test(`${SOAK} files of all kinds: workers, their memory and the page's heap stay what they were, and every score is that of the image alone`, async () => {
  const kinds = readable();
  const broken = refused();
  const expected = await alone(kinds);
  const opened = await open({ workers: 2 });
  const { page } = opened;
  const developer = await page.context().newCDPSession(page);
  const measure = async () => {
    await developer.send('HeapProfiler.collectGarbage');
    const { usedSize } = await developer.send('Runtime.getHeapUsage');
    const memories = await Promise.all(page.workers().map((worker) => worker.evaluate(() => self.memory.buffer.byteLength)));
    return { heap: usedSize, memories: memories.sort((a, b) => a - b) };
  };
  const next = random(6);
  const files = [...kinds, ...broken].map(base64);
  const run = async (count) => {
    const chosen = Array.from({ length: count }, () => (next() < 0.15 ? kinds.length + Math.floor(next() * broken.length) : Math.floor(next() * kinds.length)));
    const { results } = await page.evaluate((images) => window.scoreAll(images), chosen.map((kind) => files[kind]));
    results.forEach(({ score, error }, i) => {
      if (chosen[i] >= kinds.length) assert.ok(error && error.code !== 'WORKER_FAILED', `a broken file, ${chosen[i] - kinds.length}`);
      else assert.equal(score, expected[chosen[i]], `kind ${chosen[i]}: ${error?.message}`);
    });
  };
  // Every kind once, by both workers most likely, before anything is measured.
  for (let i = 0; i < 2; ++i) await page.evaluate((images) => window.scoreAll(images), files);
  const before = await measure();
  assert.equal(before.memories.length, 2);
  for (let done = 0; done < SOAK; done += 100) await run(100);
  const after = await measure();
  assert.equal(after.memories.length, 2, 'as many workers');
  // A worker may meet its largest image only now; a leak would be more with every image.
  after.memories.forEach((bytes) => assert.ok(bytes <= Math.max(...before.memories), `${after.memories} bytes of memory, ${before.memories} before`));
  assert.ok(after.heap - before.heap < 1.5e6, `the page's heap grew by ${after.heap - before.heap} bytes`);
  await clean(opened);
});
