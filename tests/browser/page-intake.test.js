// What comes in, by which way and in which format, and what the page says of what it can't take.
import assert from 'node:assert/strict';
import { mkdtempSync, openSync, closeSync, ftruncateSync, readFileSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PNG } from 'pngjs';
import { LARGEST } from '../../wasm/js/limits.js';
import { toRgb } from '../../web/lab/degrade.js';
import { pngOfSize } from '../node/helpers/images.js';
import { encodeSprite } from '../node/helpers/scene.js';
import { DIST, SAMPLES, clean, drop, dropFolder, launch, pageUnderTest, sample, saved, scoreInNode } from './helpers/browser.js';

const under = pageUnderTest();
const { open } = under;
let folder;
before(() => (folder = mkdtempSync(path.join(os.tmpdir(), 'nac-intake-'))));
after(() => rmSync(folder, { recursive: true }));

const give = (page, name, buffer) => page.setInputFiles('#files', [{ name, mimeType: '', buffer: Buffer.from(buffer) }]);
/** What cannot differ between two hosts that were given the same pixels. */
const judged = ({ verdict, score, pValue, top, layers, baselines }) => JSON.parse(JSON.stringify({ verdict, score, pValue, top, layers, baselines }));
const pixelsOf = (name) => toRgb((({ data, width, height }) => ({ pixels: data, width, height }))(PNG.sync.read(readFileSync(sample(name)))));

test('a folder that is dropped is walked through, and its files are known by their paths', async () => {
  const opened = await open();
  const { page } = opened;
  await dropFolder(page, 'nac-drop .drop', SAMPLES);
  await page.waitForSelector('text=/28 images in .* s/');
  const { results, errors } = JSON.parse(await saved(page, 'Save JSON'));
  assert.deepEqual(errors, []);
  const files = results.map(({ file }) => file);
  assert.equal(new Set(files).size, 28);
  for (const name of ['samples/cifar10/cat.png', 'samples/textures/noise.png']) assert.ok(files.includes(name), files.join());
  await clean(opened);
});

test('a folder that is picked is scored with its sub-folders', async () => {
  const opened = await open();
  await opened.page.setInputFiles('#folder', SAMPLES);
  await opened.page.waitForSelector('text=/28 images in .* s/');
  await clean(opened);
});

test('a sheet is all of its tiles, each scored as in Node, shown and opened; one that is not whole tiles is a picture', async () => {
  const names = ['cat', 'dog', 'frog', 'horse', 'ship', 'truck'].map((name) => `cifar10/${name}.png`);
  const tiles = names.map((name) => pixelsOf(name).pixels);
  const sheet = encodeSprite(tiles, 32, 3);
  const opened = await open();
  const { page } = opened;
  await give(page, 'tiles.32x32.png', sheet);
  await page.waitForSelector('text=/6 images in .* s/');
  const { results } = JSON.parse(await saved(page, 'Save JSON'));
  assert.deepEqual(results.map(({ file }) => file), names.map((_, i) => `tiles.32x32.png#32x32:${i}`));
  for (const [i, result] of results.entries()) assert.deepEqual(judged(result), judged(await scoreInNode({ pixels: tiles[i], width: 32, height: 32 })), names[i]);
  // Its picture, the middle of it.
  await page.waitForFunction(() => document.querySelector('.tile[data-index="4"] canvas')?.getContext('2d').getImageData(64, 64, 1, 1).data[3] === 255);
  const shown = await page.locator('.tile[data-index="4"] canvas').evaluate((canvas) => [...canvas.getContext('2d').getImageData(66, 66, 1, 1).data.slice(0, 3)]);
  assert.deepEqual(shown, [...tiles[4].subarray(3 * (16 * 32 + 16), 3 * (16 * 32 + 16) + 3)]);
  await page.click('.tile[data-index="4"]');
  await page.waitForSelector('nac-result .file:has-text("tiles.32x32.png#32x32:4")');
  const one = JSON.parse(await saved(page, 'Result (JSON)'));
  assert.deepEqual(judged(one), judged(results[4]));
  await give(page, 'photo.40x40.png', sheet);
  await page.waitForSelector('nac-result .file:has-text("photo.40x40.png")');

  // A folder of sheets: every sheet is a class.
  mkdirSync(path.join(folder, 'sheets'));
  writeFileSync(path.join(folder, 'sheets/frog.32x32.png'), encodeSprite([tiles[2], tiles[2], tiles[2]], 32, 3));
  writeFileSync(path.join(folder, 'sheets/ship.32x32.png'), encodeSprite([tiles[4], tiles[4]], 32, 2));
  await page.click('text=Two folders');
  await page.setInputFiles('nac-evaluation nac-folder >> nth=0 >> input[data-folder]', path.join(folder, 'sheets'));
  await page.waitForSelector('nac-evaluation .status:has-text("5 images")');
  const labels = await Promise.all([2, 4].map(async (i) => (await scoreInNode({ pixels: tiles[i], width: 32, height: 32 })).label));
  const right = 3 * Number(labels[0] === 'frog') + 2 * Number(labels[1] === 'ship');
  assert.match(await page.locator('nac-evaluation .status').first().innerText(), new RegExp(`accuracy ${(100 * right) / 5} %`));
  await clean(opened);
});

test('AVIF and WebP go through the browser’s decoder, the page says so, and without loss they score as the PNG does', async () => {
  const opened = await open();
  const { page } = opened;
  const lossless = async (name) => Buffer.from(await page.evaluate(async (base64) => {
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))]));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    canvas.getContext('2d').drawImage(bitmap, 0, 0);
    const blob = await canvas.convertToBlob({ type: 'image/webp', quality: 1 }); // in Chromium: without loss
    return [...new Uint8Array(await blob.arrayBuffer())];
  }, readFileSync(sample(name)).toString('base64')));
  const files = [
    // Chromium writes no AVIF. This one is avifenc's (Debian's libavif-bin 0.11.1): avifenc --lossless -s 0 models/samples/cifar10/frog.png frog.avif
    ['frog.avif', 'cifar10/frog.png', readFileSync(fileURLToPath(new URL('frog.avif', import.meta.url)))],
    ['boot.webp', 'fashion-mnist/ankle-boot.png', await lossless('fashion-mnist/ankle-boot.png')],
  ];
  for (const [name, original, bytes] of files) {
    await give(page, name, bytes);
    await page.waitForSelector(`nac-result .file:has-text("${name}") .decoder-mark:has-text("decoded by this browser")`);
    const result = JSON.parse(await saved(page, 'Result (JSON)'));
    assert.equal(result.decoder, 'browser');
    assert.deepEqual(judged(result), judged(await scoreInNode(readFileSync(sample(original)))), name);
  }
  await page.click('.sample[title=cat]');
  await page.waitForSelector('nac-result .file:has-text("cat.png"):not(:has(.decoder-mark))');
  await clean(opened);
});

test('what is too large is refused before it is read or decoded: the file, the limit and what was found are named', async () => {
  const opened = await open();
  const { page } = opened;
  await page.evaluate(() => {
    window.decoded = 0;
    const decode = createImageBitmap;
    window.createImageBitmap = (...args) => (++window.decoded, decode(...args));
  });
  const film = path.join(folder, 'film.png');
  const handle = openSync(film, 'w');
  ftruncateSync(handle, LARGEST.image + 1); // nothing is written
  closeSync(handle);
  const webp = Buffer.alloc(30);
  webp.write('RIFF', 0);
  webp.write('WEBPVP8X', 8);
  webp.writeUIntLE(16382, 24, 3);
  webp.writeUIntLE(16382, 27, 3);
  const cases = [
    [{ path: film }, 'film.png', 'the file has 268,435,457 bytes; an image file may have 268,435,456'],
    [{ bytes: pngOfSize(30000, 20000) }, 'poster.png', 'the PNG is 30,000 x 20,000 pixels; an image may have 100,000,000'],
    [{ bytes: webp }, 'wall.webp', 'the image is 16,383 x 16,383 pixels; an image may have 100,000,000'],
  ];
  for (const [source, name, sentence] of cases) {
    if (source.path) await page.setInputFiles('#files', source.path);
    else await give(page, name, source.bytes);
    await page.waitForSelector(`.error[data-code=LIMIT_EXCEEDED] .file:has-text("${name}")`);
    assert.equal(await page.locator('.error h2').innerText(), 'This image is too large');
    assert.ok((await page.locator('.error').innerText()).includes(sentence), await page.locator('.error').innerText());
    assert.equal(await page.locator('#live').innerText(), `${name} This image is too large`);
  }
  assert.equal(await page.evaluate(() => window.decoded), 0);
  // Among others it is one that can't be read, and they are scored.
  await page.setInputFiles('#files', [film, sample('cifar10/cat.png')]);
  await page.waitForSelector('text=/2 images in .* s/');
  await page.click('.tile[data-verdict=error]');
  await page.waitForSelector('.error:has-text("film.png")');
  await clean(opened);
});

test('what is no image, and a damaged one, are said in the page', async () => {
  const opened = await open();
  const { page } = opened;
  await drop(page, [fileURLToPath(import.meta.url)]);
  await page.waitForSelector('.error');
  assert.match(await page.locator('.error h2').innerText(), /isn’t an image/);
  await give(page, 'half.png', readFileSync(sample('cifar10/cat.png')).subarray(0, 200));
  await page.waitForSelector('.error:has-text("half.png")');
  await page.click('.sample >> nth=0');
  await page.waitForSelector('.verdict-card');
  await clean(opened);
});

test('a file that is no profile, and a profile of another model, are refused, and the one before stays in force', async () => {
  const opened = await open();
  const { page } = opened;
  const profile = readFileSync(path.join(DIST, 'models/cifar10-resnet18.safetensors'));
  const at = profile.indexOf('sha256') + profile.subarray(profile.indexOf('sha256')).toString('latin1').search(/[0-9a-f]{64}/);
  const other = Buffer.from(profile);
  other[at] = other[at] === 0x30 ? 0x31 : 0x30; // another first digit
  const cases = [
    ['nothing.safetensors', Buffer.from('nothing like a profile'), /can’t be used/],
    ['other.safetensors', other, /belongs to another model/],
  ];
  for (const [name, bytes, title] of cases) {
    await give(page, name, bytes);
    await page.waitForSelector(`.error .file:has-text("${name}")`);
    assert.match(await page.locator('.error h2').innerText(), title);
    assert.equal(await page.locator('nac-engine-state').getAttribute('data-state'), 'ready');
    await page.click('text=Go on with');
    await page.waitForSelector('.verdict-card');
  }
  await clean(opened);
});

test('a browser without SIMD is told so', async () => {
  // V8 builds WebAssembly's SIMD on SSE 4.1; where there is another processor, the engine is asked to deny it instead.
  const old = await launch(['--js-flags=--no-enable-sse4-1']);
  try {
    const context = await old.newContext();
    const page = await context.newPage();
    if (process.arch !== 'x64') await page.addInitScript(() => (WebAssembly.validate = () => false));
    await page.goto(under.address);
    await page.waitForSelector('.error[data-code=NO_SIMD]');
    assert.match(await page.locator('.error').innerText(), /too old for the engine[\s\S]*no WebAssembly SIMD/);
    assert.equal(await page.locator('nac-engine-state').getAttribute('data-state'), 'failed');
  } finally {
    await old.close();
  }
});
