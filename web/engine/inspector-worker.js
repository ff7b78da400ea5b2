// @ts-check
/** In: { setup } once, then { bytes } of an image. Out: { coverage }, an array a layer, null for what cannot be read. */
import { Engine } from '../../wasm/js/engine.js';
import { prepareImage } from '../../wasm/js/detector.js';
import { host } from '../../wasm/js/host-browser.js';
import { Runner } from '../../wasm/js/runner.js';

/** @type {Promise<{ runner: Runner, profile: import('../../wasm/js/engine/profile.js').Profile }> | undefined} */
let opened;
let last = Promise.resolve();

self.addEventListener('message', async ({ data: { setup, bytes } }) => {
  if (setup) {
    opened = open(setup);
    opened.catch(() => {});
    return;
  }
  // One after another, so that answers keep the order of the questions.
  last = last.then(async () => self.postMessage({ coverage: await answer(bytes).catch(() => null) }));
});

/** @param {{ module: WebAssembly.Module, model: Uint8Array, profile: Uint8Array }} setup */
async function open({ module, model, profile }) {
  const engine = await Engine.create(module);
  return { profile: engine.openProfile(profile), runner: new Runner(engine, { module, variant: '', model, profile }) };
}

/** @param {Uint8Array} bytes */
async function answer(bytes) {
  const { runner, profile } = await /** @type {NonNullable<typeof opened>} */ (opened);
  const { image } = await prepareImage(host, bytes, (sheet) => runner.run({ kind: 'decode', bytes: sheet }));
  const { z, g } = await runner.run({ kind: 'states', image });
  return profile.layers.map((_, layer) => profile.coverage(layer, z[layer], g[layer]).coverage);
}
