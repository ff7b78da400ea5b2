// The contest of networks.js in Chromium: the whole score by the binary that the browser chooses, against onnxruntime-web's forward, alone and
// with the backward written out. In the page's own thread.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, serve } from '../tests/browser/helpers/browser.js';
import { exportModels, folder, installPeers } from './peers.js';
import { summarise } from './report.js';

const ROOT = path.resolve(fileURLToPath(import.meta.url), '../..');

/** In the page. @returns {Promise<Record<string, number[]>>} */
async function compete({ name, rounds }) {
  const { SIZE, ensureSame, makeInput, openOurs, outputsOf, race, tapsOf, toNhwc } = await import('/bench/contest.js');
  const { chooseVariant } = await import('/wasm/js/variants.js');
  const ort = await import('/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs');
  ort.env.wasm.numThreads = 1;
  const load = async (file) => new Uint8Array(await (await fetch(file)).arrayBuffer());
  const nchw = makeInput();
  const openPeer = async (file) => {
    const session = await ort.InferenceSession.create(await load(file), { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
    return async () => {
      const outputs = await session.run({ [session.inputNames[0]]: new ort.Tensor('float32', nchw, [1, 3, SIZE, SIZE]) });
      return session.outputNames.map((output) => outputs[output].data);
    };
  };
  const variant = chooseVariant('auto');
  const module = await WebAssembly.compile(await load(`/dist/nac-${variant}.wasm`));
  const ours = await openOurs(module, await load(`/models/${name}.onnx`), tapsOf(name), toNhwc(nchw));
  const peer = await openPeer(`/models/${name}.onnx`);
  const peerBackward = await openPeer(`/models/${name}.backward.onnx`);
  ours.score();
  ensureSame('nac', outputsOf(ours), { logits: (await peer())[0], gradients: (await peerBackward()).slice(1) });
  return race({
    'onnxruntime-web forward': peer,
    'onnxruntime-web with backward': peerBackward,
    [`nac score (${variant})`]: ours.score,
    [`nac forward (${variant})`]: ours.forward,
  }, rounds);
}

/**
 * @param {{ names: string[], rounds: number }} options
 * @returns {Promise<import('./report.js').Table[]>}
 */
export async function measureInChromium({ names, rounds }) {
  installPeers();
  exportModels(names);
  const server = await serve(folder); // the large files; ours are small
  const browser = await launch();
  const rows = [];
  try {
    for (const name of names) {
      const context = await browser.newContext();
      for (const own of ['bench', 'wasm', 'dist'])
        await context.route(`${server.address}${own}/**`, (route) => route.fulfill({ path: path.join(ROOT, new URL(route.request().url()).pathname) }));
      const page = await context.newPage();
      await page.goto(`${server.address}package.json`); // anything of this origin
      const times = await page.evaluate(compete, { name, rounds });
      const base = Math.min(...times['onnxruntime-web forward']);
      for (const [what, list] of Object.entries(times)) {
        const [min, median] = summarise(list);
        rows.push([name, what, min, median, min / base]);
      }
      await context.close();
    }
    return [{ name: 'chromium', columns: ['model', `Chromium ${browser.version()}`, 'min ms', 'median ms', 'of onnxruntime-web forward'], rows }];
  } finally {
    await browser.close();
    server.close();
  }
}
