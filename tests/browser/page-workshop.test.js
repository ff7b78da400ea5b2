// A model of one's own and two folders, in a real Chromium: the profile is the one that Node makes, to the last byte.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { pathToFileURL } from 'node:url';
import { compareSets, openWorkbench, scoreSet } from '../../wasm/js/node.js';
import { holdOut } from '../../wasm/js/subset.js';
import { SETS } from '../../web/intake/sample-list.js';
import { DIST, clean, detectorInNode, drop, dropFolder, openPage, pageUnderTest } from './helpers/browser.js';
import { writeNoise, writeShifted } from './helpers/pictures.js';

const MINUTE = { timeout: 180_000 };
const MODEL = path.join(DIST, 'models/cifar10-resnet18.onnx');
const under = pageUnderTest();
let folder;
/** As the page lists them: in the order of their paths. @type {Record<string, { file: string, name: string, group?: string }[]>} */
const sets = {};

before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'nac-workshop-'));
  sets.familiar = writeShifted(path.join(folder, 'familiar'), ['cifar10'], 8);
  sets.noise = writeNoise(path.join(folder, 'noise'), 20);
});
after(() => rmSync(folder, { recursive: true }));

const open = (room) => under.visit(`?variant=simd#${room}`);
const input = (element, at) => `${element} nac-folder >> nth=${at} >> input[data-folder]`;
const lazy = ({ file, name, group }) => ({ name, group, load: async () => new Uint8Array(readFileSync(file)) });
const download = async (page, text) => {
  const [file] = await Promise.all([page.waitForEvent('download', MINUTE), page.click(`text=${text}`)]);
  return readFileSync(await file.path());
};

test('a model is dropped, a folder becomes its profile, settings are tried, and the file is the one that Node makes', async () => {
  const opened = await open('images');
  const { page } = opened;
  const bundled = /profile of [\d,]+ images/.exec(await page.locator('nac-engine-state[data-state=ready]').innerText())[0];
  await drop(page, [MODEL]);
  await page.waitForSelector('.chip:has-text("Conv 20")', MINUTE);
  assert.equal(new URL(page.url()).hash, '#workshop');
  assert.deepEqual(await page.locator('.taps > label').allInnerTexts().then((all) => all.map((text) => text.split(/\s/)[0])), ['avgpool', 'layer3', 'layer2', 'layer1']);
  assert.equal(await page.locator('#preset').inputValue(), 'cifar10');

  // Paused, it waits; cancelled, it begins anew.
  await page.setInputFiles(input('nac-workshop', 0), path.join(folder, 'familiar'));
  await page.click('nac-workshop nac-folder button:has-text("Pause")', MINUTE);
  await page.waitForSelector('text=/Paused: /');
  // What was under way may still come in, and then nothing more.
  await page.waitForTimeout(1500);
  const status = page.locator('nac-workshop nac-folder >> nth=0 >> .status');
  const paused = await status.innerText();
  await page.waitForTimeout(1000);
  assert.equal(await status.innerText(), paused);
  await page.click('nac-workshop nac-folder button:has-text("Cancel")');
  await page.waitForSelector('text=Cancelled.');
  await dropFolder(page, 'nac-workshop nac-folder >> nth=0', path.join(folder, 'familiar'));
  await page.waitForSelector('text=56 images counted, 24 held out.', MINUTE);
  await page.waitForSelector('nac-tuning .compare');

  await page.setInputFiles(input('nac-workshop', 1), path.join(folder, 'noise'));
  await page.waitForSelector('.figures:has-text("AUROC")', MINUTE);
  // Each setting has an effect that is seen.
  const change = async (act) => {
    const drawing = await page.locator('.compare-place').innerHTML();
    await act();
    await page.waitForFunction((before) => document.querySelector('.compare-place').innerHTML !== before, drawing, MINUTE);
  };
  await change(() => page.locator('input[aria-label="alpha of layer1"]').fill('20'));
  await change(() => page.locator('select[aria-label="M of layer2"]').selectOption('100'));
  await change(() => page.locator('input[aria-label="O of layer3"]').fill('12'));

  const model = readFileSync(MODEL);
  const bench = await openWorkbench({ model: new File([model], 'cifar10-resnet18.onnx'), layers: 'auto', preprocess: 'cifar10', variant: 'simd', workers: 1 });
  const { kept, held } = holdOut(sets.familiar, 0.3, 0);
  await bench.collect('profile', kept.map(lazy));
  await bench.collect('held', held.map(lazy));
  const settings = bench.defaults();
  // Half of two decades to the right, and three tenths.
  settings.alpha[3] = Number((settings.alpha[3] * 10 ** (2 * (20 / 40))).toPrecision(2));
  settings.bins[2] = 100;
  settings.fill[1] = Math.max(1, Math.round(settings.fill[1] * 10 ** (2 * (12 / 40))));
  const provenance = { command: 'made in a browser', heldOut: 24 };
  const there = await bench.save(settings, { labels: [...SETS[0].names].sort(), provenance });
  bench.close();
  const here = await download(page, 'Download the profile');
  assert.deepEqual(here, Buffer.from(there));

  // And it works: in use, and loaded again later.
  await page.click('text=Score images with it here');
  await page.waitForSelector('nac-engine-state:has-text("profile of 56 images")', MINUTE);
  await page.waitForSelector('.neurons svg', MINUTE);
  await page.setInputFiles('#files', [{ name: 'again.safetensors', mimeType: '', buffer: here }]);
  await page.waitForSelector('nac-engine-state:has-text("profile of 56 images")', MINUTE);
  await page.click('text=back to the bundled one');
  await page.waitForSelector(`nac-engine-state:has-text("${bundled}")`, MINUTE);
  await clean(opened);
});

test('without outliers some are made, and a search is no worse than the defaults', async () => {
  const opened = await open('workshop');
  const { page } = opened;
  await page.click('text=Take the bundled one');
  await page.waitForSelector('.chip', MINUTE);
  await page.uncheck('.taps input[value=layer1]');
  await page.uncheck('.taps input[value=layer2]');
  await page.setInputFiles(input('nac-workshop', 0), path.join(folder, 'familiar'));
  await page.waitForSelector('text=/images counted/', MINUTE);
  await page.waitForSelector('.settings tbody tr', MINUTE); // drawn a moment later
  assert.equal(await page.locator('.settings tbody tr').count(), 2);
  await page.click('text=Make outliers');
  await page.waitForSelector('.figures:has-text("AUROC")', MINUTE);
  const auroc = async () => Number((await page.locator('.figures').innerText()).match(/AUROC ([\d.]+)/)[1]);
  const plain = await auroc();
  await page.click('text=Search the best settings');
  await page.waitForSelector('button:text-is("Search the best settings"):not([disabled])', { timeout: 300_000 });
  await page.waitForTimeout(1000);
  assert.ok((await auroc()) >= plain, `${await auroc()} after ${plain}`);
  await clean(opened);
});

test('what is no model is said, and so is an operator that is not supported', async () => {
  const opened = await open('workshop');
  const { page } = opened;
  const give = (name, buffer) => page.setInputFiles('#model-file', [{ name, mimeType: '', buffer }]);
  await give('text.onnx', Buffer.from('this is no model'));
  await page.waitForSelector('.error:has-text("isn’t an ONNX model")', MINUTE);
  // The same length, so that the file stays whole: no operator is called "Relx".
  const bytes = readFileSync(MODEL);
  const patched = Buffer.from(bytes.toString('latin1').replaceAll('Relu', 'Relx'), 'latin1');
  await give('odd.onnx', patched);
  await page.waitForSelector('.chip.unsupported:has-text("Relx")', MINUTE);
  assert.match(await page.locator('.model .flag').innerText(), /can’t be run here: .*Relx/);
  await clean(opened);
});

test('two folders: the figures are those of Node', async () => {
  const opened = await open('evaluation');
  const { page } = opened;
  await page.setInputFiles(input('nac-evaluation', 0), path.join(folder, 'familiar'));
  await page.setInputFiles(input('nac-evaluation', 1), path.join(folder, 'noise'));
  await page.waitForSelector('.metrics', MINUTE);
  const { id, sets: [set] } = JSON.parse((await download(page, 'Save JSON')).toString());
  const detector = await detectorInNode();
  const inside = await scoreSet(detector, sets.familiar.map(lazy), { dropSeen: true });
  const outside = await scoreSet(detector, sets.noise.map(lazy), { dropSeen: true });
  assert.deepEqual(set.methods, JSON.parse(JSON.stringify(await compareSets(detector, inside.scores, outside.scores))));
  assert.deepEqual([id.images, id.accuracy, set.images, set.flagged], [inside.images, inside.accuracy, 20, outside.flagged]);
  assert.equal(await page.locator('.metrics tbody tr').count(), 4);
  assert.equal(await page.locator('.roc .curve').count(), 4);
  const lines = (await download(page, 'Save scores (CSV)')).toString().trim().split('\r\n');
  assert.equal(lines.length, 1 + inside.images + 20);
  await page.click('nac-evaluation label:has-text("Energy")');
  assert.equal(await page.locator('.compare .threshold').count(), 0, 'the threshold is coverage’s');
  await clean(opened);
});

test('the single file builds a profile too, without a server', async () => {
  const opened = await openPage(under.browser, pathToFileURL(path.join(DIST, 'nac-single.html')).href);
  const { page } = opened;
  await page.click('text=Your own model');
  await page.click('text=Take the bundled one');
  await page.waitForSelector('.chip', MINUTE);
  await page.setInputFiles(input('nac-workshop', 0), path.join(folder, 'familiar'));
  await page.waitForSelector('text=56 images counted, 24 held out.', MINUTE);
  await page.waitForSelector('nac-tuning .compare', MINUTE);
  await clean(opened);
});
