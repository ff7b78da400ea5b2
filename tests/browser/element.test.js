// <nac-detector> in pages that aren't ours: attributes, properties, events, one engine for many, clean-up, and the frame protocol.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { buildProfile } from '../../wasm/js/node.js';
import { tinyModel } from '../node/helpers/onnx.js';
import { PREPROCESS, encodePng, noise } from '../node/helpers/scene.js';
import { serious } from './helpers/axe.js';
import { DIST, clean, launch, openPage, sample, scoreInNode, serve } from './helpers/browser.js';

const WAIT = { timeout: 60_000 };
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src 'self' blob:; style-src 'self'; frame-src *";

/** A page of somebody else's, in the same folder as dist/ or on another server. */
const page = (body, script) => [
  ['html', `<!doctype html><meta http-equiv="Content-Security-Policy" content="${POLICY}"><title>Host</title><link rel="icon" href="./dist/web/icon.svg"><script type="module" src="./SCRIPT"></script>${body}`],
  ['js', script],
];
const MODEL = 'model="./dist/models/cifar10-resnet18.onnx" profile="./dist/models/cifar10-resnet18.safetensors" variant="simd"';

let browser, folder, server, elsewhere;
before(async () => {
  browser = await launch();
  folder = mkdtempSync(path.join(os.tmpdir(), 'nac-element-'));
  mkdirSync(path.join(folder, 'dist'));
  cpSync(DIST, path.join(folder, 'dist'), { recursive: true, filter: (source) => !source.endsWith('nac-single.html') });
  [server, elsewhere] = await Promise.all([serve(folder), serve(folder)]); // two ports, two origins
});
after(async () => {
  await browser?.close();
  server?.close();
  elsewhere?.close();
  if (folder) rmSync(folder, { recursive: true });
});

/** Opens a page with this body; `script` runs in it before the element is defined. */
async function open(name, body, script = "import './dist/web/element/index.js';", from = server) {
  for (const [extension, text] of page(body, script)) writeFileSync(path.join(folder, `${name}.${extension}`), text.replace('SCRIPT', `${name}.js`));
  const opened = await openPage(browser, `${from.address}${name}.html`);
  await opened.page.evaluate(() => customElements.whenDefined('nac-detector'));
  return opened;
}

/** Files onto the n-th element, as a hand drops them. */
async function dropOn(page, files, index = 0) {
  const list = files.map(({ name, bytes }) => ({ name, base64: Buffer.from(bytes).toString('base64') }));
  await page.evaluate(({ list, index }) => {
    const transfer = new DataTransfer();
    for (const { name, base64 } of list) transfer.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name));
    document.querySelectorAll('nac-detector')[index].shadowRoot.querySelector('.card')
      .dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true, composed: true }));
  }, { list, index });
}
const file = (name) => ({ name: path.basename(name), bytes: readFileSync(sample(name)) });
const workersOf = (page) => page.workers().length;
const plain = (value) => JSON.parse(JSON.stringify(value));
const comparable = ({ ms, file: _, ...rest }) => plain(rest);

test("a model's weights in another file come from beside it, or with it", async () => {
  const { bytes: model, files } = tinyModel({ where: (name) => (name === 'dense' ? 'tiny.onnx.data' : undefined) });
  writeFileSync(path.join(folder, 'tiny.onnx'), model);
  writeFileSync(path.join(folder, 'tiny.onnx.data'), files['tiny.onnx.data']);
  const images = Array.from({ length: 20 }, (_, i) => encodePng(noise(i), 8, 8));
  writeFileSync(path.join(folder, 'tiny.safetensors'), await buildProfile({ model: path.join(folder, 'tiny.onnx'), images, preprocess: PREPROCESS, workers: 0 }));
  const opened = await open('weights', '<nac-detector model="./tiny.onnx" profile="./tiny.safetensors" variant="simd"></nac-detector><nac-detector profile="./tiny.safetensors" variant="simd"></nac-detector>');
  const { page } = opened;
  const outcome = await page.evaluate(async (bytes) => {
    const [first, second] = document.querySelectorAll('nac-detector');
    const image = new Blob([Uint8Array.from(bytes)]);
    const byAddress = await first.score(image);
    second.model = await Promise.all(['tiny.onnx.data', 'tiny.onnx'].map(async (name) => new File([await (await fetch(name, { cache: 'no-store' })).blob()], name)));
    const byFiles = await second.score(image);
    return { scores: [byAddress.score, byFiles.score], hashes: [first.detector.info.sha256, second.detector.info.sha256], shared: first.detector === second.detector };
  }, [...images[3]]);
  assert.equal(outcome.scores[0], outcome.scores[1]);
  assert.equal(outcome.hashes[0], outcome.hashes[1]);
  assert.ok(!outcome.shared);
  await clean(opened);
});

test('a dropped image is scored as in Node, shown, announced and told by event', async () => {
  const opened = await open('drop', `<nac-detector ${MODEL}></nac-detector>`, `
    import './dist/web/element/index.js';
    window.heard = [];
    for (const type of ['nac-ready', 'nac-progress', 'nac-result', 'nac-error'])
      document.body.addEventListener(type, ({ detail }) => window.heard.push({ type, result: detail.result, file: detail.file?.name, stage: detail.stage }));`);
  const { page } = opened;
  await page.waitForFunction(() => window.heard?.some(({ type }) => type === 'nac-ready'), null, WAIT);
  await dropOn(page, [file('mnist/digit-5.png')]);
  await page.waitForSelector('nac-detector .verdict', WAIT);
  const heard = await page.evaluate(() => window.heard);
  const result = heard.find(({ type }) => type === 'nac-result');
  assert.equal(result.file, 'digit-5.png');
  assert.deepEqual(comparable(result.result), comparable(await scoreInNode(readFileSync(sample('mnist/digit-5.png')))));
  assert.deepEqual([...new Set(heard.filter(({ type }) => type === 'nac-progress').map(({ stage }) => stage))].sort(), ['model', 'profile', 'wasm']);
  const { verdict } = result.result;
  const title = verdict === 'out' ? 'Out-of-distribution' : 'In-distribution';
  assert.equal(await page.locator('nac-detector [part~=verdict]').innerText(), `${verdict === 'out' ? '!' : '✓'}\n${title}`);
  assert.match(await page.locator('nac-detector [role=status]').innerText(), new RegExp(`^digit-5\\.png: ${title}\\. Score 0\\.\\d\\d, p-value`));
  assert.deepEqual(comparable(await page.evaluate(() => document.querySelector('nac-detector').result)), comparable(result.result));
  await clean(opened);
});

test('elements share one engine, and the last to leave ends it', async () => {
  const opened = await open('shared', `<nac-detector ${MODEL} workers="1"></nac-detector>`.repeat(3));
  const { page } = opened;
  const requests = [];
  page.on('request', (request) => requests.push(request.url()));
  await page.evaluate(() => Promise.all([...document.querySelectorAll('nac-detector')].map((element) => element.load())));
  assert.equal(await page.evaluate(() => new Set([...document.querySelectorAll('nac-detector')].map(({ detector }) => detector)).size), 1);
  assert.equal(workersOf(page), 1);
  assert.equal(await page.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.onnx')).length), 1);
  for (const index of [0, 1, 2]) await dropOn(page, [file('cifar10/cat.png')], index);
  await page.waitForFunction(() => [...document.querySelectorAll('nac-detector')].every(({ result }) => result), null, WAIT);
  // Moved is not removed.
  await page.evaluate(() => document.body.append(document.querySelector('nac-detector')));
  assert.equal(await page.evaluate(() => [...document.querySelectorAll('nac-detector')].filter(({ result }) => result).length), 3);
  for (const left of [2, 1]) {
    await page.evaluate(() => document.querySelector('nac-detector').remove());
    await page.waitForTimeout(100);
    assert.equal(workersOf(page), 1, `${left} are left`);
  }
  await page.evaluate(() => (window.last = document.querySelector('nac-detector').detector, document.querySelector('nac-detector').remove()));
  await page.waitForFunction(() => window.last.score(new Uint8Array(8)).then(() => false, ({ code }) => code === 'CLOSED'), null, WAIT);
  await page.waitForTimeout(200);
  assert.equal(workersOf(page), 0);
  await clean(opened);
});

test('one that leaves while the model is loading takes the engine along; it can come back', async () => {
  const opened = await open('leaving', `<nac-detector ${MODEL}></nac-detector>`);
  const { page } = opened;
  const code = await page.evaluate(async () => {
    const element = document.querySelector('nac-detector');
    const loading = element.load().then(() => 'loaded', ({ name }) => name);
    element.remove();
    return loading;
  });
  assert.equal(code, 'AbortError');
  await page.evaluate(() => document.body.append(window.back = Object.assign(document.createElement('nac-detector'), {
    model: './dist/models/cifar10-resnet18.onnx', profile: './dist/models/cifar10-resnet18.safetensors',
  })));
  assert.equal(await page.evaluate(() => window.back.load().then((detector) => detector.info.labels.length)), 10);
  await clean(opened);
});

test('properties take files and a detector of the page’s own, also before the element is defined', async () => {
  const opened = await open('properties', '<nac-detector id="files"></nac-detector><nac-detector id="own"></nac-detector>', `
    import { loadDetector } from './dist/wasm/js/index.js';
    const blob = async (path) => (await fetch('./dist/models/cifar10-resnet18.' + path)).blob();
    const [model, profile] = await Promise.all([blob('onnx'), blob('safetensors')]);
    document.querySelector('#files').model = model;
    document.querySelector('#files').profile = profile;
    window.own = await loadDetector({ model, profile, workers: 1 });
    document.querySelector('#own').detector = window.own;
    await import('./dist/web/element/index.js');`);
  const { page } = opened;
  const bytes = [...readFileSync(sample('cifar10/ship.png'))];
  const scores = await page.evaluate(async (bytes) => {
    const all = [];
    for (const element of document.querySelectorAll('nac-detector')) all.push((await element.score(new Uint8Array(bytes), { name: 'ship' })).score);
    return all;
  }, bytes);
  assert.equal(scores[0], scores[1]);
  assert.equal(await page.locator('#own .file').innerText(), 'ship');
  await page.evaluate(() => document.querySelector('#own').remove());
  assert.ok(await page.evaluate((bytes) => window.own.score(new Uint8Array(bytes)).then(({ score }) => score > 0), bytes), 'it is the page’s to close');
  await clean(opened);
});

test('several images become thumbnails that open; one that cannot be read is among them', async () => {
  const opened = await open('multiple', `<nac-detector ${MODEL} multiple explain></nac-detector>`, `
    import './dist/web/element/index.js';
    window.heard = [];
    for (const type of ['nac-result', 'nac-error']) document.addEventListener(type, (event) => window.heard.push(type));`);
  const { page } = opened;
  await dropOn(page, [file('cifar10/cat.png'), { name: 'no.png', bytes: Buffer.from('no image') }, file('textures/noise.png')]);
  await page.waitForFunction(() => window.heard.length === 3, null, WAIT);
  assert.deepEqual(await page.evaluate(() => window.heard), ['nac-result', 'nac-error', 'nac-result']);
  const thumbs = page.locator('nac-detector .thumb');
  assert.equal(await thumbs.count(), 3);
  await thumbs.nth(1).press('Enter');
  assert.equal(await page.locator('nac-detector [part~=error]').innerText(), 'This isn’t an image we can read');
  await thumbs.nth(2).press('Enter');
  assert.equal(await page.locator('nac-detector .file').innerText(), 'noise.png');
  assert.equal(await page.evaluate(() => document.querySelector('nac-detector').results.length), 2);
  await page.locator('nac-detector .views input').last().focus();
  await page.keyboard.press('Space');
  assert.ok(await page.locator('nac-detector .frame canvas').isVisible());
  await clean(opened);
});

test('the keyboard alone chooses a file; a disabled one takes nothing', async () => {
  const opened = await open('keyboard', `<nac-detector ${MODEL}></nac-detector><nac-detector ${MODEL} disabled></nac-detector>`);
  const { page } = opened;
  const choosing = page.waitForEvent('filechooser');
  await page.keyboard.press('Tab');
  await page.evaluate(() => {}); // by now the browser knows that the picker is to be caught
  await page.keyboard.press('Enter');
  const chooser = await choosing;
  await chooser.setFiles(sample('cifar10/dog.png'));
  await page.waitForSelector('nac-detector .verdict', WAIT);
  await dropOn(page, [file('cifar10/dog.png')], 1);
  await page.waitForTimeout(300);
  assert.equal(await page.evaluate(() => document.querySelectorAll('nac-detector')[1].shadowRoot.querySelector('.outcome').hidden), true);
  assert.ok(await page.locator('nac-detector >> nth=1 >> button').first().isDisabled());
  await clean(opened);
});

test('pasting into it scores; a newer image takes the place of one under way', async () => {
  const opened = await open('paste', `<nac-detector ${MODEL} loading="lazy"></nac-detector>`);
  const { page } = opened;
  assert.equal(workersOf(page), 0, 'lazy');
  const bytes = [...readFileSync(sample('mnist/digit-7.png'))];
  const outcomes = await page.evaluate(async (bytes) => {
    const element = document.querySelector('nac-detector');
    const first = element.score(new Uint8Array(bytes), { name: 'first' }).then(() => 'scored', ({ name }) => name);
    const second = element.score(new Uint8Array(bytes), { name: 'second' }).then(({ file }) => file);
    return [await first, await second];
  }, bytes);
  assert.deepEqual(outcomes, ['AbortError', 'second']);
  await page.evaluate((bytes) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([new Uint8Array(bytes)], 'pasted.png', { type: 'image/png' }));
    document.querySelector('nac-detector').shadowRoot.querySelector('button').dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, composed: true, cancelable: true }));
  }, bytes);
  await page.waitForSelector('nac-detector .file:has-text("pasted.png")', WAIT);
  await clean(opened);
});

test('what is missing is said in the element and by event', async () => {
  const { page } = await open('missing', '<nac-detector model="./none.onnx" profile="./none.safetensors"></nac-detector><nac-detector></nac-detector>', `
    import './dist/web/element/index.js';
    window.heard = [];
    document.addEventListener('nac-error', ({ detail }) => window.heard.push(detail.error.code));`);
  await page.waitForFunction(() => window.heard.includes('NOT_FOUND'), null, WAIT);
  assert.match(await page.locator('nac-detector >> nth=0 >> .outcome').innerText(), /none\.(onnx|safetensors): the server answers 404/);
  assert.equal(await page.evaluate(() => document.querySelectorAll('nac-detector')[1].score(new Uint8Array(4)).catch(({ code }) => code)), 'INVALID_ARGUMENT');
  assert.match(await page.locator('nac-detector >> nth=1 >> .outcome').innerText(), /needs a model and a profile/);
  await page.context().close();
});

test('it follows the page’s colours, not the system’s, and takes custom properties and parts', async () => {
  writeFileSync(path.join(folder, 'looks.css'), `
    body { color-scheme: dark } #mine { color-scheme: light; --nac-background: rgb(1, 2, 3) } #mine::part(prompt) { color: rgb(9, 8, 7) }`);
  const opened = await open('looks', '<link rel="stylesheet" href="./looks.css"><nac-detector id="dark"></nac-detector><nac-detector id="mine"></nac-detector>');
  const style = (id, selector, property) => opened.page.evaluate(([id, selector, property]) =>
    getComputedStyle(document.querySelector(id).shadowRoot.querySelector(selector))[property], [id, selector, property]);
  assert.equal(await style('#dark', '.card', 'backgroundColor'), 'rgb(24, 32, 41)');
  assert.equal(await style('#mine', '.card', 'backgroundColor'), 'rgb(1, 2, 3)');
  assert.equal(await style('#mine', '.prompt', 'color'), 'rgb(9, 8, 7)');
  await clean(opened);
});

/** A page around dist/web/demo/frame.html, or around a frame that names other origins. */
const around = (frame, script = '') => ['<nac-host></nac-host>', `
  import { connectFrame } from './dist/web/element/connect-frame.js';
  customElements.define('nac-detector', class extends HTMLElement {}); // nothing of it is needed on this side
  window.heard = [];
  addEventListener('message', ({ data }) => window.heard.push(data));
  const iframe = document.createElement('iframe');
  iframe.src = ${JSON.stringify(frame)};
  document.body.append(iframe);
  window.visitor = [];
  window.frame = connectFrame(iframe, { onResult: (result) => window.visitor.push(result.file) });
  ${script}`];

test('a frame answers the page around it: bytes in, result out, and what the visitor drops inside', async () => {
  const opened = await open('around', ...around('./dist/web/demo/frame.html'));
  const { page } = opened;
  const bytes = [...readFileSync(sample('cifar10/frog.png'))];
  const there = await page.evaluate(async (bytes) => {
    const { labels } = await window.frame.ready;
    const { explanation, ...result } = await window.frame.score(new Uint8Array(bytes).buffer, { name: 'frog' });
    return { labels, result };
  }, bytes);
  assert.equal(there.labels.length, 10);
  assert.equal(there.result.schema, 'nac.result/1');
  assert.equal(there.result.file, 'frog');
  const { label } = await scoreInNode(readFileSync(sample('cifar10/frog.png')));
  assert.equal(there.result.label, label);
  assert.equal(await page.evaluate(() => window.frame.score(new Uint8Array(9)).catch(({ code, message }) => `${code} ${message}`)).then((text) => text.split(' ')[0]), 'UNSUPPORTED');
  const inside = page.frames().find((frame) => frame.url().endsWith('frame.html'));
  await inside.setInputFiles('nac-detector input[type=file]', sample('mnist/digit-2.png'));
  await page.waitForFunction(() => window.visitor.length === 1, null, WAIT);
  assert.deepEqual(await page.evaluate(() => window.visitor), ['digit-2.png']);
  assert.equal(await page.evaluate(() => window.heard.filter(({ type, id }) => type === 'result' && id === null).length), 1, 'what was asked for is told once');
  await clean(opened);
});

test('a page of another origin gets no answer', async () => {
  const opened = await open('stranger', ...around(`${server.address}dist/web/demo/frame.html`), elsewhere);
  const { page } = opened;
  const warnings = [];
  page.on('console', (message) => message.type() === 'warning' && warnings.push(message.text()));
  const inside = await page.waitForSelector('iframe').then((handle) => handle.contentFrame());
  await inside.waitForFunction(() => document.querySelector('nac-detector')?.detector, null, WAIT);
  await page.evaluate((bytes) => {
    const { contentWindow } = document.querySelector('iframe');
    for (const type of ['hello', 'score']) contentWindow.postMessage({ nac: 1, type, id: 1, image: new Uint8Array(bytes), name: 'x' }, '*');
  }, [...readFileSync(sample('cifar10/frog.png'))]);
  await page.waitForTimeout(1500);
  assert.deepEqual(await page.evaluate(() => window.heard), []);
  assert.equal(await inside.evaluate(() => document.querySelector('nac-detector').result), null, 'nor is anything done');
  assert.ok(warnings.some((text) => text.includes(`a message of ${new URL(elsewhere.address).origin} is ignored`)), warnings.join());
  await page.context().close();
});

test('a page of an origin that the frame names is answered, across origins; its messages are for that origin only', async () => {
  const html = readFileSync(path.join(DIST, 'web/demo/frame.html'), 'utf8');
  const named = html.replace(/(name="nac-origins" content=")[^"]*/, `$1${new URL(elsewhere.address).origin}`);
  assert.notEqual(named, html);
  writeFileSync(path.join(folder, 'dist/web/demo/named.html'), named);
  const opened = await open('friend', ...around(`${server.address}dist/web/demo/named.html`), elsewhere);
  const { page } = opened;
  const label = await page.evaluate(async (bytes) => (await window.frame.score(new Blob([new Uint8Array(bytes)]), { name: 'x' })).label, [...readFileSync(sample('cifar10/frog.png'))]);
  assert.equal(label, (await scoreInNode(readFileSync(sample('cifar10/frog.png')))).label);
  // The frame's own origin isn't among those it names, so not even its own server's pages are answered.
  const own = await open('own', ...around('./dist/web/demo/named.html'));
  await own.page.waitForTimeout(1500);
  assert.deepEqual(await own.page.evaluate(() => window.heard), []);
  await own.page.context().close();
  await page.context().close();
});

test('the demos run within their policies, ask no other server, and keep nobody out', async () => {
  const dashboard = await openPage(browser, `${server.address}dist/web/demo/dashboard.html`);
  await dashboard.page.click('#run');
  await dashboard.page.waitForSelector('#log tr:nth-child(6)', WAIT);
  await dashboard.page.click('#run');
  assert.deepEqual([...new Set(await dashboard.page.locator('#log td:nth-child(2)').allInnerTexts())].sort(), ['East', 'North', 'South']);
  assert.equal(await dashboard.page.evaluate(() => new Set([...document.querySelectorAll('nac-detector')].map(({ detector }) => detector)).size), 1);
  assert.deepEqual(await serious(dashboard.page), []);
  await clean(dashboard);
  const embedding = await openPage(browser, `${server.address}dist/web/demo/embedding.html`);
  await embedding.page.waitForSelector('#state:has-text("ready")', WAIT);
  await embedding.page.click('.attachments button >> nth=0');
  await embedding.page.waitForSelector('.messages li[data-way=in]:has-text("automobile.png")', WAIT);
  assert.deepEqual(await serious(embedding.page), []);
  await clean(embedding);
  const frame = await openPage(browser, `${server.address}dist/web/demo/frame.html`);
  await frame.page.waitForFunction(() => document.querySelector('nac-detector').detector, null, WAIT);
  assert.deepEqual(await serious(frame.page), []);
  await clean(frame);
});
