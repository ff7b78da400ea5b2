// The first score from nothing in Chromium: binary, model and profile fetched from this machine, compiled, loaded, one image scored. Stage
// by stage in the page's own thread; as a program does it (loadDetector, with a worker, where stages overlap; the program's own modules are counted for
// themselves, the worker's are one file, as every bundler makes it); and in the built page, for a visitor who comes for the first time. Every round
// has a page of its own that nobody watches, so nothing is cached, and begins when the browser is at rest.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, rest, serve } from '../tests/browser/helpers/browser.js';
import { BarePage } from './bare-page.js';
import { summarise } from './report.js';

/** Milliseconds between two looks at whether a score is there, and until it is too late. */
const LOOK = 200;
const PATIENCE = 60_000;

const ROOT = path.resolve(fileURLToPath(import.meta.url), '../..');

/** In the page. @returns {Promise<Record<string, number>>} milliseconds */
async function stages() {
  const variants = await import('/wasm/js/variants.js');
  const { Engine } = await import('/wasm/js/engine.js');
  const { Runner } = await import('/wasm/js/runner.js');
  const variant = variants.chooseVariant('auto');
  const load = async (file) => new Uint8Array(await (await fetch(file)).arrayBuffer());
  const ms = {};
  let last = performance.now();
  const lap = (name) => {
    const now = performance.now();
    ms[name] = now - last;
    last = now;
  };
  const binary = await load(`/dist/nac-${variant}.wasm`);
  lap('fetch the binary');
  const module = await WebAssembly.compile(binary);
  lap('compile it');
  const model = await load('/models/cifar10-resnet18.onnx');
  lap('fetch the model');
  const profile = await load('/models/cifar10-resnet18.safetensors');
  lap('fetch the profile');
  await crypto.subtle.digest('SHA-256', model);
  lap('hash the model');
  const engine = await Engine.create(module);
  lap('start the engine');
  const runner = new Runner(engine, { module, variant, model, profile });
  runner.prepare();
  lap('open model and profile, pack weights');
  const bytes = await load('/models/samples/cifar10/cat.png');
  last = performance.now();
  await runner.run({ kind: 'score', image: { bytes } });
  lap('first score');
  await runner.run({ kind: 'score', image: { bytes } });
  lap('second score');
  return ms;
}

/** In the page. */
async function whole() {
  const start = performance.now();
  const { loadDetector } = await import('/dist/wasm/js/index.js');
  const imported = performance.now() - start;
  const [detector, image] = await Promise.all([
    loadDetector({ model: '/models/cifar10-resnet18.onnx', profile: '/models/cifar10-resnet18.safetensors', workers: 1 }),
    fetch('/models/samples/cifar10/cat.png').then((response) => response.blob()),
  ]);
  await detector.score(image);
  const ms = performance.now() - start;
  detector.close();
  return { 'import the modules, as they are': imported, 'from then to the first score (loadDetector)': ms - imported };
}

/** What a function measures in a page of this origin. */
const inPage = (/** @type {() => Promise<Record<string, number>>} */ work) => (/** @type {BarePage} */ page) => page.evaluate(work);

/** The page scores its first sample by itself, and marks when. @returns {Promise<Record<string, number>>} milliseconds */
async function visit(/** @type {BarePage} */ page, /** @type {string} */ address) {
  await page.visit(`${address}dist/`);
  for (let waited = 0; waited < PATIENCE; waited += LOOK) {
    await new Promise((resolve) => setTimeout(resolve, LOOK));
    // On the way from one document to the next there may be none to ask.
    const ms = await page.evaluate(() => performance.getEntriesByName('nac-first-score')[0]?.startTime).catch(() => undefined);
    if (ms) return { 'from the visit to the first score (the page)': ms };
  }
  throw new Error('the page has not scored its first sample');
}

/** A page that has crashed never answers. @returns {Promise<never>} */
function late() {
  return new Promise((_, reject) => setTimeout(reject, PATIENCE, new Error(`no first score within ${PATIENCE / 1000} s`)).unref());
}

/**
 * @param {{ rounds: number }} options
 * @returns {Promise<import('./report.js').Table[]>}
 */
export async function measureFirstScore({ rounds }) {
  const server = await serve(ROOT);
  const browser = await launch();
  const times = new Map();
  try {
    for (let round = 0; round < rounds; round++)
      for (const measure of [inPage(stages), inPage(whole), visit]) {
        const page = await BarePage.open(browser, `${server.address}README.md`); // some text
        await rest(browser);
        const measured = await Promise.race([measure(page, server.address), late()]);
        for (const [stage, ms] of Object.entries(measured)) times.set(stage, [...(times.get(stage) ?? []), ms]);
        await page.close();
      }
    const rows = [...times].map(([stage, list]) => [stage, ...summarise(list)]);
    return [{ name: 'first-score', columns: [`Chromium ${browser.version()}`, 'min ms', 'median ms'], rows }];
  } finally {
    await browser.close();
    server.close();
  }
}
