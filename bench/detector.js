// The bundled detector: images a second with one worker and with two, how quickly a profile is built, and whether memory stays
// what it was after many images. Images are the bundled samples, over and over.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Engine } from '../wasm/js/engine.js';
import { host } from '../wasm/js/host-node.js';
import { buildProfile, loadDetector } from '../wasm/js/node.js';
import { Runner } from '../wasm/js/runner.js';

const MODELS = fileURLToPath(new URL('../models/', import.meta.url));
const VARIANT = 'relaxed';
const model = readFileSync(`${MODELS}cifar10-resnet18.onnx`);
const profile = readFileSync(`${MODELS}cifar10-resnet18.safetensors`);

const folder = `${MODELS}samples/cifar10/`;
const samples = readdirSync(folder).filter((name) => name.endsWith('.png')).map((name) => readFileSync(folder + name));

function* images(count) {
  for (let i = 0; i < count; i++) yield samples[i % samples.length];
}

/** A worker is ready and warm before the clock starts. */
async function scoreRate(workers, count) {
  const detector = await loadDetector({ model, profile, variant: VARIANT, workers });
  try {
    for await (const result of detector.scoreAll(images(8 * workers))) if (result.error) throw result.error;
    const start = performance.now();
    for await (const result of detector.scoreAll(images(count))) if (result.error) throw result.error;
    return (1000 * count) / (performance.now() - start);
  } finally {
    detector.close();
  }
}

async function buildRate(workers, count) {
  const start = performance.now();
  await buildProfile({ model, images: images(count), preprocess: 'cifar10', holdoutFraction: 0, variant: VARIANT, workers });
  return (1000 * count) / (performance.now() - start);
}

/** Bytes of WebAssembly memory after the first image, and after all of them. */
async function memoryAfter(count) {
  host.prepare(VARIANT);
  const engine = await Engine.create(await WebAssembly.compile(readFileSync(host.wasm(VARIANT))));
  const runner = new Runner(engine, { module: /** @type {any} */ (null), variant: VARIANT, model, profile });
  runner.prepare();
  const sizes = [];
  for (const bytes of images(count)) {
    await runner.run({ kind: 'score', image: { bytes } });
    sizes.push(engine.memoryBytes);
  }
  return [sizes[0], sizes[count - 1]];
}

/**
 * @param {{ images: number }} options
 * @returns {Promise<import('./report.js').Table[]>}
 */
export async function measureDetector({ images: count }) {
  const [one, two] = [await scoreRate(1, count), await scoreRate(2, count)];
  const [before, after] = await memoryAfter(count);
  return [{
    name: 'detector',
    columns: ['what', 'value'],
    rows: [
      ['images', count],
      ['scores a second, 1 worker', one],
      ['scores a second, 2 workers', two],
      ['2 workers / 1 worker', two / one],
      ['images a second into a profile, 1 worker, with its start', await buildRate(1, count)],
      ['images a second into a profile, 2 workers, with their start', await buildRate(2, count)],
      ['WebAssembly bytes after 1 image', before],
      ['WebAssembly bytes after all images', after],
    ],
  }];
}
