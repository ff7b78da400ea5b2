// The built page in a real Chromium: what a visitor does, what must not happen, and the same bits as in Node.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { hot, subdued } from '../../web/charts/heatmap.js';
import { SETS } from '../../web/intake/sample-list.js';
import { DIST, SAMPLES, clean, detectorInNode, drop, openPage, pageUnderTest, sample, saved, scoreInNode, serve, settled } from './helpers/browser.js';

const under = pageUnderTest();
const { open } = under;

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

test('in front of its first result the page asks for one script, one style sheet and one worker', async () => {
  const opened = await open();
  const asked = await opened.page.evaluate(() => {
    const score = performance.getEntriesByName('nac-first-score')[0].startTime;
    const before = performance.getEntriesByType('resource').filter(({ startTime }) => startTime < score);
    return before.map(({ name }) => new URL(name).pathname).filter((name) => /\.(js|css)$/.test(name));
  });
  assert.deepEqual(asked.sort(), ['/wasm/js/worker-browser.js', '/web/app.js', '/web/style.css']);
  await clean(opened);
});

test('while the model is on its way, the page says how much of it has come', async () => {
  const size = (name) => statSync(path.join(DIST, name)).size;
  const model = readFileSync(path.join(DIST, 'models/cifar10-resnet18.onnx'));
  const half = model.length >> 1;
  let go;
  const rest = new Promise((resolve) => (go = resolve));
  const slow = createServer(async (request, response) => {
    if (request.url.endsWith('.onnx')) {
      response.writeHead(200, { 'content-length': model.length });
      response.write(model.subarray(0, half));
      await rest;
      return response.end(model.subarray(half));
    }
    const answer = await fetch(new URL(request.url, under.address));
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type'), 'content-length': answer.headers.get('content-length') });
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  await new Promise((resolve) => slow.listen(0, '127.0.0.1', resolve));
  const opened = await openPage(under.browser, `http://127.0.0.1:${slow.address().port}/?variant=simd`);
  const { page } = opened;
  const others = size('nac-simd.wasm') + size('models/cifar10-resnet18.safetensors');
  const [loaded, total] = [half + others, model.length + others];
  await page.waitForSelector(`nac-engine-state:has-text("Downloading ${(loaded / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB")`);
  assert.ok(Math.abs((await page.locator('nac-engine-state progress').evaluate(({ value }) => value)) - loaded / total) < 1e-6);
  go();
  await settled(page);
  assert.match(await page.locator('nac-engine-state').innerText(), /ready in/);
  await clean(opened);
  slow.close();
});

test('scores are those of Node to the last bit', async () => {
  const opened = await open();
  const { page } = opened;
  await page.click('text=Score all of them');
  await page.waitForSelector('text=/images in .* s/');
  const { results } = JSON.parse(await saved(page, 'Save JSON'));
  const files = SETS.flatMap(({ folder, names }) => names.map((name) => `${folder}/${name}.png`));
  assert.deepEqual(results.map(({ file }) => file), files, 'order kept');
  for (const [i, file] of files.entries()) {
    const { ms, file: _, ...here } = await scoreInNode(readFileSync(sample(file)));
    const { ms: __, file: ___, ...there } = results[i];
    assert.deepEqual(there, JSON.parse(JSON.stringify(here)), file);
  }
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
    window.bitmaps = 0;
    const [decode, close] = [createImageBitmap, ImageBitmap.prototype.close];
    window.createImageBitmap = (...args) => decode(...args).then((bitmap) => (++window.bitmaps, bitmap));
    ImageBitmap.prototype.close = function () {
      --window.bitmaps;
      close.call(this);
    };
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
  for (let turn = 3; turn < 8; ++turn) {
    await page.waitForFunction(() => [...document.querySelectorAll('.tile')].every((tile) => tile.querySelector('canvas')?.getContext('2d').getImageData(64, 64, 1, 1).data[3]));
    await page.click('text=More familiar');
    await page.waitForSelector(`text=Page ${turn} of 17`);
  }
  const bitmaps = await page.evaluate(() => window.bitmaps);
  assert.ok(bitmaps >= 200 && bitmaps <= 250, `${bitmaps} pictures are kept of those of seven pages`);
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
  await page.waitForSelector('text=/^[\\d,]+ of 1,500 · [\\d.]+ a second · [\\d.]+ (s|min|h) left$/');
  await page.click('text=Cancel');
  await page.waitForSelector('text=/cancelled/');
  const count = Number(await page.locator('[data-count=all]').innerText().then((text) => text.replace(',', '')));
  assert.ok(count > 0 && count < 1500, `${count} scored`);
  await clean(opened);
});

test('the heat map of every layer that has positions is what Node computes, and the keyboard reaches it', async () => {
  const opened = await open();
  const { page } = opened;
  const { explanation: { layers, view } } = await scoreInNode(readFileSync(sample('cifar10/ship.png')), { explain: true });
  await page.locator('.verdict-card .segments input').first().focus();
  const heat = page.locator('.frame canvas[aria-label^="Heat map"]');
  // From the picture on, to the deepest layer.
  const mapped = layers.filter(({ map }) => map).reverse();
  for (const { name, map } of mapped) {
    await page.keyboard.press('ArrowRight');
    await page.waitForSelector(`canvas[aria-label="Heat map of uncovered activation in ${name}"]`);
    const drawn = await heat.evaluate((canvas, { width, height }) => {
      const context = canvas.getContext('2d');
      const centre = (at, count, size) => Math.floor(((at + 0.5) / count) * size);
      return Array.from({ length: width * height }, (_, i) => [...context.getImageData(centre(i % width, width, canvas.width), centre(Math.floor(i / width), height, canvas.height), 1, 1).data.slice(0, 3)]);
    }, map);
    const most = Math.max(...map.values);
    const wanted = Array.from(map.values, (value, i) => {
      const at = (index, count, size) => Math.floor(((index + 0.5) / count) * size);
      const pixel = at(Math.floor(i / map.width), map.height, view.height) * view.width + at(i % map.width, map.width, view.width);
      const [r, g, b, a] = hot(most > 0 ? value / most : 0); // a layer may be covered everywhere
      return subdued(...view.pixels.subarray(3 * pixel, 3 * pixel + 3)).map((grey, c) => grey + ([r, g, b][c] - grey) * (a / 255));
    });
    const error = drawn.flat().reduce((sum, level, i) => sum + Math.abs(level - wanted.flat()[i]), 0) / (3 * drawn.length);
    // The browser's smoothing reaches into a position's middle: 2 levels. A map that is turned round is off by more than 50.
    assert.ok(error < 8, `${name}: ${error} levels`);
  }
  assert.equal(mapped.length, await page.locator('.verdict-card .segments input').count() - 1);
  const result = JSON.parse(await saved(page, 'Result (JSON)'));
  assert.equal(result.schema, 'nac.result/1');
  assert.deepEqual(result.explanation.layers.map(({ map }) => map && [...map.values]), layers.map(({ map }) => map && [...map.values]), 'and so it is saved');
  await clean(opened);
});

test('the reasons: verdicts of the baselines, coverage of every neuron, and where this image fell among its histogram', async () => {
  const opened = await open();
  const { page } = opened;
  await page.click('.sample[title="shirt"]');
  await page.waitForSelector('nac-result .file:has-text("shirt.png")');
  const result = JSON.parse(await saved(page, 'Result (JSON)'));
  const { baselines, baselineThresholds } = result;
  const opinions = [result.verdict, ...['msp', 'energy', 'maxLogit'].map((key) => (baselines[key] < baselineThresholds[key] ? 'out' : 'in'))];
  assert.deepEqual((await page.locator('.opinions .opinion').allInnerTexts()).map((text) => text.toLowerCase()), opinions);
  // The flag stands where one of them says otherwise.
  assert.equal(await page.locator('.opinions .flag').count(), Number(new Set(opinions).size > 1));
  const lowest = result.layers.reduce((best, layer) => (layer.score < best.score ? layer : best));
  assert.equal(await page.locator('.row:has-text("least covered") input:checked + span').innerText(), lowest.name);
  const { neurons } = result.explanation.layers.find(({ name }) => name === lowest.name);
  assert.deepEqual(await page.locator('.neuron b').allInnerTexts(), neurons.map(({ neuron }) => `#${neuron}`));
  const first = page.locator('.neuron svg').first();
  const { needle, step } = await first.evaluate((svg) => ({ needle: Number(svg.querySelector('.needle line').getAttribute('x1')), step: svg.viewBox.baseVal.width }));
  const { M } = (await detectorInNode()).info.profile.layers.find(({ name }) => name === lowest.name);
  // M edges are M - 1 bins, the last of which, above 1, is not drawn.
  assert.ok(Math.abs(needle - ((neurons[0].bin + 0.5) * step) / (M - 2)) < 1e-6);
  await page.click('.row:has-text("least covered") label:has-text("avgpool")');
  await page.waitForSelector(`.neuron b:text-is("#${result.explanation.layers[0].neurons[0].neuron}")`);
  const lines = (await saved(page, 'Neurons (CSV)')).trim().split('\r\n');
  assert.equal(lines.length, 1 + result.layers.reduce((sum, layer) => sum + layer.neurons, 0));
  assert.equal(Number(lines.at(-1).split(',')[2]), result.explanation.layers.at(-1).coverage.at(-1));
  assert.match(await saved(page, 'Result (CSV)'), new RegExp(`^file,verdict,score,.*\r\nfashion-mnist/shirt.png,${result.verdict},`));
  const bins = (await saved(page, 'Histograms (CSV)')).trim().split('\r\n').slice(1).map((line) => line.split(','));
  const chosen = result.explanation.layers.flatMap((layer) => layer.neurons.map(({ neuron, bin }) => ({ layer: layer.name, neuron, bin })));
  for (const { layer, neuron, bin } of chosen) {
    const own = bins.filter(([name, number]) => name === layer && Number(number) === neuron);
    assert.equal(own.findIndex(([, , , , , here]) => here === '1'), bin);
    const { images } = (await detectorInNode()).info.profile;
    assert.equal(own.reduce((sum, [, , , , count]) => sum + Number(count), 0), images, 'every image of the profile is in one bin');
  }
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

test('the page works below a sub-path', async () => {
  const above = await serve(path.dirname(path.resolve(DIST)));
  const opened = await openPage(under.browser, `${above.address}${path.basename(path.resolve(DIST))}/`);
  await settled(opened.page);
  await clean(opened);
  above.close();
});
