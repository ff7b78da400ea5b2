// A model whose weights lie in another file, on the page: both at once, in a folder, or one after the other.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { buildProfile, loadDetector } from '../../wasm/js/node.js';
import { tinyModel } from '../node/helpers/onnx.js';
import { LABELS, PREPROCESS, encodePng, noise } from '../node/helpers/scene.js';
import { clean, drop, dropFolder, pageUnderTest, saved } from './helpers/browser.js';

const under = pageUnderTest();
const { open } = under;
const { bytes: model, files } = tinyModel({ labels: LABELS, where: (name) => ({ conv1: 'tiny.onnx.data', dense: 'weights/dense' })[name] });
const image = encodePng(noise(7), 8, 8);
let folder;
/** By name, in a folder as onnx.save_model leaves it. @type {(...names: string[]) => string[]} */
const at = (...names) => names.map((name) => path.join(folder, 'network', ...name.split('/')));
/** The image's result in Node. */
let expected;

before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'nac-model-files-'));
  mkdirSync(path.join(folder, 'network', 'weights'), { recursive: true });
  for (const [name, content] of [['tiny.onnx', model], ...Object.entries(files), ['image.png', image], ['README.md', 'what else lies there']]) writeFileSync(at(name)[0], content);
  const images = Array.from({ length: 40 }, (_, i) => encodePng(noise(i), 8, 8));
  const profile = await buildProfile({ model: at('tiny.onnx')[0], images, holdoutFraction: 0.5, layers: ['features', 'stage2'], preprocess: PREPROCESS, workers: 0 });
  writeFileSync(at('tiny.safetensors')[0], profile);
  const detector = await loadDetector({ model: at('tiny.onnx')[0], profile, variant: 'simd', workers: 0 });
  expected = await detector.score(image);
});
after(() => rmSync(folder, { recursive: true }));

/** That the page scores with this model, as Node does. */
async function scored(page) {
  await page.waitForSelector('nac-engine-state[data-state=ready]:has-text("tiny")');
  await page.waitForSelector('nac-result:not([aria-busy]) .file:has-text("image.png")');
  const { score, top } = JSON.parse(await saved(page, 'Result (JSON)'));
  assert.deepEqual({ score, top }, { score: expected.score, top: expected.top });
}

const card = (page, room) => page.locator(`${room} [data-code=NOT_FOUND]`);

test('model, profile and weights that are dropped at once, or in a folder, score as in Node', async () => {
  for (const give of [(page) => drop(page, at('weights/dense', 'tiny.safetensors', 'tiny.onnx.data', 'tiny.onnx', 'image.png')), (page) => dropFolder(page, 'nac-drop .drop', path.join(folder, 'network'))]) {
    const opened = await open();
    await give(opened.page);
    await scored(opened.page);
    await clean(opened);
  }
  const opened = await open();
  await opened.page.setInputFiles('#folder', path.join(folder, 'network'));
  await scored(opened.page);
  await clean(opened);
});

test('what is missing is named, waited for while an image is scored in between, and asked for by a button', async () => {
  const opened = await open();
  const { page } = opened;
  await drop(page, at('tiny.onnx', 'tiny.safetensors', 'image.png'));
  await card(page, 'nac-result').waitFor();
  assert.match(await card(page, 'nac-result').innerText(), /tiny\.onnx\s+A part of this model is missing\s+Its weights lie in 2 files, “tiny\.onnx\.data” among them\. Drop them here, too, or choose them: the model is kept until then\./);
  await drop(page, at('image.png')); // by the model that is there
  await page.waitForSelector('nac-result:not(:has([data-code]))');
  await drop(page, at('tiny.onnx.data'));
  await card(page, 'nac-result').waitFor();
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.click('text=Choose dense')]);
  await chooser.setFiles(at('weights/dense'));
  await scored(page);
  await clean(opened);
});

test('in the workshop too, and a model that comes instead ends the wait', async () => {
  const opened = await open();
  const { page } = opened;
  const alone = path.join(folder, 'whole.onnx');
  writeFileSync(alone, tinyModel({ labels: LABELS }).bytes);
  await drop(page, at('tiny.onnx'));
  await card(page, 'nac-workshop').waitFor();
  await drop(page, [alone]);
  await page.waitForSelector('nac-workshop .file:has-text("whole.onnx")');
  await page.waitForSelector('nac-workshop .chip:has-text("Conv 2")');
  await page.setInputFiles('#model-file', at('tiny.onnx', 'tiny.onnx.data'));
  await card(page, 'nac-workshop').waitFor();
  assert.equal(await card(page, 'nac-workshop').locator('button').innerText(), 'Choose dense');
  await page.setInputFiles('#model-file', at('weights/dense'));
  await page.waitForSelector('nac-workshop .file:has-text("tiny.onnx")');
  await page.waitForSelector('nac-workshop .facts:has-text("Multiply-adds")');
  assert.equal(await card(page, 'nac-workshop').count(), 0);
  await clean(opened);
});
