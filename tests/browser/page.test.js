// The built page in a real Chromium: what a visitor does, what must not happen, and the same bits as in Node.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadDetector } from '../../wasm/js/node.js';
import { SETS } from '../../web/intake/sample-list.js';
import { DIST, SAMPLES, clean, drop, launch, openPage, sample, saved, serve, settled } from './helpers/browser.js';

let browser, server;
before(async () => {
  [browser, server] = await Promise.all([launch(), serve()]);
});
after(async () => {
  await browser?.close();
  server?.close();
});

const open = async (options) => {
  const opened = await openPage(browser, `${server.address}?variant=simd`, options);
  await settled(opened.page);
  return opened;
};

test('the list of samples is what lies in the folder', () => {
  for (const { folder, names } of SETS)
    assert.deepEqual(readdirSync(path.join(SAMPLES, folder)).sort(), names.map((name) => `${name}.png`).sort());
});

test('the page opens with a result, within its policy and from its own server only', async () => {
  const opened = await open();
  const { page } = opened;
  assert.equal(await page.locator('nac-engine-state').getAttribute('data-state'), 'ready');
  assert.match(await page.locator('.verdict h2').innerText(), /distribution/);
  assert.match(await page.locator('#live').innerText(), /^cifar10\/ship\.png: (In|Out-of)-/);
  await clean(opened);
});

test('scores are those of Node to the last bit', async () => {
  const opened = await open();
  const { page } = opened;
  await page.click('text=Score all of them');
  await page.waitForSelector('text=/images in .* s/');
  const { results } = JSON.parse(await saved(page, 'Save JSON'));
  const at = (name) => path.join(DIST, 'models', `cifar10-resnet18.${name}`);
  const detector = await loadDetector({ model: readFileSync(at('onnx')), profile: readFileSync(at('safetensors')), variant: 'simd', workers: 1 });
  const files = SETS.flatMap(({ folder, names }) => names.map((name) => `${folder}/${name}.png`));
  assert.deepEqual(results.map(({ file }) => file), files, 'order kept');
  for (const [i, file] of files.entries()) {
    const { ms, file: _, ...here } = await detector.score(readFileSync(sample(file)));
    const { ms: __, file: ___, ...there } = results[i];
    assert.deepEqual(there, JSON.parse(JSON.stringify(here)), file);
  }
  detector.close();
  await clean(opened);
});

test('several dropped files become a gallery that can be filtered and opened; one that is no image does not stop it', async () => {
  const opened = await open();
  const { page } = opened;
  await drop(page, [sample('cifar10/cat.png'), fileURLToPath(import.meta.url), sample('textures/noise.png')]);
  await page.waitForSelector('text=/3 images in .* s/');
  assert.equal(await page.locator('.tile').count(), 3);
  assert.match(await page.locator('.tile').last().innerText(), /unreadable/);
  await page.click('label:has(input[value=error])');
  await page.waitForFunction(() => document.querySelectorAll('.tile').length === 1);
  await page.click('label:has(input[value=all])');
  // The picture of a tile comes from the file, not from its name.
  await page.waitForFunction(() => document.querySelector('.tile[data-index="0"] canvas')?.getContext('2d').getImageData(64, 64, 1, 1).data[3] === 255);
  await page.fill('input[type=search]', 'NOISE');
  await page.waitForFunction(() => document.querySelectorAll('.tile').length === 1);
  await page.fill('input[type=search]', '');
  await page.waitForFunction(() => document.querySelectorAll('.tile').length === 3);
  await page.locator('.tile').first().press('Enter');
  await page.waitForSelector('nac-result .verdict-card');
  await page.click('text=All images');
  assert.equal(await page.locator('.tile').count(), 3);
  assert.match(await saved(page, 'Save CSV'), /^file,verdict,score,.*\r\n(.*\r\n){2}$/);
  await clean(opened);
});

test('a thousand images: in pages, with a bounded document and bounded pictures, and the brush takes a part of them', async () => {
  const opened = await open();
  const { page } = opened;
  const names = SETS.flatMap(({ folder, names: all }) => all.map((name) => `${folder}/${name}.png`));
  const buffers = names.map((name) => readFileSync(sample(name)));
  await page.evaluate(() => {
    window.urls = 0;
    const create = URL.createObjectURL;
    URL.createObjectURL = (blob) => (++window.urls, create.call(URL, blob));
  });
  const files = Array.from({ length: 1000 }, (_, i) => ({ name: `${i}.png`, mimeType: 'image/png', buffer: buffers[i % buffers.length] }));
  await page.setInputFiles('#files', files);
  await page.waitForSelector('text=/1,000 images in .* s/', { timeout: 600_000 });
  assert.equal(await page.locator('.tile').count(), 60);
  assert.equal(await page.evaluate(() => window.urls), 0, 'no object URL is made for a tile');
  const { results } = JSON.parse(await saved(page, 'Save JSON'));
  assert.deepEqual(results.map(({ file }) => file), files.map(({ name }) => name), 'order kept');
  const first = async () => Number(await page.locator('.tile').first().getAttribute('data-index'));
  assert.equal(results[await first()].pValue, Math.min(...results.map(({ pValue }) => pValue)));
  await page.click('text=More familiar');
  await page.waitForSelector('text=Page 2 of 17');
  // From here on: only what the brush leaves.
  const low = page.locator('.brush input').first();
  await low.fill('200');
  await low.press('ArrowLeft');
  const from = Number((await page.locator('.brush > .hint').innerText()).match(/from ([\d.]+)/)[1]);
  await page.waitForFunction((wanted) => Number(document.querySelector('.tile')?.dataset.index) === wanted,
    results.map(({ score, pValue }, i) => ({ score, pValue, i })).filter(({ score }) => score >= from).sort((a, b) => a.pValue - b.pValue || a.score - b.score || a.i - b.i)[0].i);
  const part = JSON.parse(await saved(page, 'Save JSON')).results;
  assert.ok(part.length > 0 && part.length < 1000);
  assert.ok(part.every(({ score }) => score >= from - 0.001));
  await clean(opened);
});

test('scoring can be cancelled, and what is scored stays', async () => {
  const opened = await open();
  const { page } = opened;
  const bytes = readFileSync(sample('cifar10/dog.png'));
  await page.setInputFiles('#files', Array.from({ length: 1500 }, (_, i) => ({ name: `${i}.png`, mimeType: 'image/png', buffer: bytes })));
  await page.waitForSelector('.tile');
  await page.click('text=Cancel');
  await page.waitForSelector('text=/cancelled/');
  const count = Number(await page.locator('[data-count=all]').innerText().then((text) => text.replace(',', '')));
  assert.ok(count > 0 && count < 1500, `${count} scored`);
  await clean(opened);
});

test('the heat map shows every layer that has positions, and the keyboard reaches it', async () => {
  const opened = await open();
  const { page } = opened;
  const first = page.locator('.verdict-card .segments input').first();
  await first.focus();
  const heat = page.locator('.frame canvas[aria-label^="Heat map"]');
  const pictures = new Set();
  for (let i = 0; i < (await page.locator('.verdict-card .segments input').count()) - 1; ++i) {
    await page.keyboard.press('ArrowRight');
    assert.ok(await heat.isVisible());
    pictures.add(await heat.evaluate((canvas) => canvas.toDataURL()));
  }
  assert.ok(pictures.size >= 2, `${pictures.size} different heat maps`);
  const result = JSON.parse(await saved(page, 'Result (JSON)'));
  assert.equal(result.schema, 'nac.result/1');
  assert.ok(result.explanation.layers.some(({ map }) => map?.values.length === map?.width * map?.height));
  await clean(opened);
});

test('the reasons: verdicts of the baselines, coverage of every neuron, and where this image fell among its histogram', async () => {
  const opened = await open();
  const { page } = opened;
  await page.click('.sample[title="shirt"]');
  await page.waitForSelector('nac-result .file:has-text("shirt.png")');
  assert.deepEqual(await page.locator('.opinions .opinion').allInnerTexts(), ['Out', 'Out', 'Out', 'Out']);
  const result = JSON.parse(await saved(page, 'Result (JSON)'));
  const lowest = result.layers.reduce((best, layer) => (layer.score < best.score ? layer : best));
  assert.equal(await page.locator('.row:has-text("least covered") input:checked + span').innerText(), lowest.name);
  const { neurons } = result.explanation.layers.find(({ name }) => name === lowest.name);
  assert.deepEqual(await page.locator('.neuron b').allInnerTexts(), neurons.map(({ neuron }) => `#${neuron}`));
  const first = page.locator('.neuron svg').first();
  const { needle, step } = await first.evaluate((svg) => ({ needle: Number(svg.querySelector('.needle line').getAttribute('x1')), step: svg.viewBox.baseVal.width }));
  const detector = await loadDetector({ model: path.join(DIST, 'models/cifar10-resnet18.onnx'), profile: path.join(DIST, 'models/cifar10-resnet18.safetensors'), workers: 1 });
  const { M } = detector.info.profile.layers.find(({ name }) => name === lowest.name);
  detector.close();
  // M edges are M - 1 bins, the last of which, above 1, is not drawn.
  assert.ok(Math.abs(needle - ((neurons[0].bin + 0.5) * step) / (M - 2)) < 1e-6);
  await page.click('.row:has-text("least covered") label:has-text("avgpool")');
  await page.waitForSelector(`.neuron b:text-is("#${result.explanation.layers[0].neurons[0].neuron}")`);
  const lines = (await saved(page, 'Neurons (CSV)')).trim().split('\r\n');
  assert.equal(lines.length, 1 + result.layers.reduce((sum, layer) => sum + layer.neurons, 0));
  assert.equal(Number(lines.at(-1).split(',')[2]), result.explanation.layers.at(-1).coverage.at(-1));
  assert.match(await saved(page, 'Result (CSV)'), /^file,verdict,score,.*\r\nfashion-mnist\/shirt.png,out,/);
  for (const button of ['Picture (PNG)', 'Score chart (PNG)']) assert.match(await saved(page, button), /^.PNG/);
  await clean(opened);
});

test('pasting scores', async () => {
  const opened = await open();
  const { page } = opened;
  const base64 = readFileSync(sample('mnist/digit-7.png')).toString('base64');
  await page.evaluate((text) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], 'pasted.png', { type: 'image/png' }));
    document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }));
  }, base64);
  await page.waitForSelector('nac-result .file:has-text("pasted.png")');
  await clean(opened);
});

test('a picked folder is scored with its sub-folders', async () => {
  const opened = await open();
  const { page } = opened;
  await page.setInputFiles('#folder', SAMPLES);
  await page.waitForSelector('text=/28 images in .* s/');
  await clean(opened);
});

test('WebP goes through the browser’s decoder, and the page says so', async () => {
  const opened = await open();
  const { page } = opened;
  await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(64, 48);
    const context = canvas.getContext('2d');
    context.fillStyle = 'teal';
    context.fillRect(8, 8, 30, 30);
    const file = new File([await canvas.convertToBlob({ type: 'image/webp' })], 'drawn.webp');
    const transfer = new DataTransfer();
    transfer.items.add(file);
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
  });
  await page.waitForSelector('nac-result .file:has-text("drawn.webp")');
  await settled(page);
  assert.match(await page.locator('nac-result').innerText(), /decoded by this browser/);
  await clean(opened);
});

test('what is no image, and a damaged one, are said in the page', async () => {
  const opened = await open();
  const { page } = opened;
  await drop(page, [fileURLToPath(import.meta.url)]);
  await page.waitForSelector('.error');
  assert.match(await page.locator('.error h2').innerText(), /isn’t an image/);
  await page.setInputFiles('#files', [{ name: 'half.png', mimeType: 'image/png', buffer: readFileSync(sample('cifar10/cat.png')).subarray(0, 200) }]);
  await page.waitForSelector('.error:has-text("half.png")');
  await page.click('.sample >> nth=0');
  await page.waitForSelector('.verdict-card');
  await clean(opened);
});

test('a file that is no profile is refused, and the one before stays in force', async () => {
  const opened = await open();
  const { page } = opened;
  await page.setInputFiles('#files', [{ name: 'other.safetensors', mimeType: '', buffer: Buffer.from('nothing like a profile') }]);
  await page.waitForSelector('.error');
  assert.match(await page.locator('.error h2').innerText(), /can’t be used/);
  assert.equal(await page.locator('nac-engine-state').getAttribute('data-state'), 'ready');
  await page.click('text=Go on with');
  await page.waitForSelector('.verdict-card');
  await clean(opened);
});

test('a browser without SIMD is told so', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.addInitScript(() => (WebAssembly.validate = () => false));
  await page.goto(server.address);
  await page.waitForSelector('.error[data-code=NO_SIMD]');
  await context.close();
});

test('the page works below a sub-path', async () => {
  const above = await serve(path.dirname(path.resolve(DIST)));
  const opened = await openPage(browser, `${above.address}${path.basename(path.resolve(DIST))}/`);
  await settled(opened.page);
  await clean(opened);
  above.close();
});
