// The built page on a static host: below a sub-path, without a network after the first visit, and from one release to the next.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, afterEach, before, beforeEach } from 'node:test';
import { release } from '../../web/bundle/release.js';
import { DIST, clean, launch, openPage, serve, settled } from './helpers/browser.js';

const MINUTE = { timeout: 60_000 };

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

// A copy of dist/ at some/path, which a test may change.
let folder, site, server, address;
beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'nac-offline-'));
  site = path.join(folder, 'some/path');
  mkdirSync(site, { recursive: true });
  cpSync(DIST, site, { recursive: true });
  server = await serve(folder);
  address = `${server.address}some/path/`;
});
afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const open = async () => {
  const opened = await openPage(browser, address, { serviceWorkers: 'allow' });
  await controlled(opened.page);
  return opened;
};
const controlled = (page) => page.waitForFunction(() => navigator.serviceWorker.controller?.state === 'activated', null, MINUTE);
const versionOf = (page) => page.locator('meta[name=nac-release]').getAttribute('content');

/** Another release on the server: one module differs, and with it what build.js makes of it. */
async function publish(title) {
  const edit = async (name, change) => writeFileSync(path.join(site, name), change(readFileSync(path.join(site, name), 'utf8')));
  await edit('index.html', (html) => html.replace(/\n *<meta name="nac-release"[^>]*>/, '').replace(/<title>[^<]*/, `<title>${title}`));
  const before = JSON.parse(/self\.RELEASE = (\{.*?\n\});/s.exec(readFileSync(path.join(site, 'service-worker.js'), 'utf8'))[1]);
  return (await release(site, Object.keys(before.files), edit)).version;
}

test('without a network, the page opens below its sub-path and scores', async () => {
  const opened = await open();
  const { page } = opened;
  await settled(page);
  server.close();
  await page.reload();
  await settled(page);
  await page.click('.sample[title=shirt]');
  await page.waitForSelector('nac-result .file:has-text("shirt.png")');
  assert.match(await page.locator('nac-privacy').innerText(), /without a network\s*works/);
  await clean(opened);
});

test('what no file of the release is goes to the network', async () => {
  const opened = await open();
  writeFileSync(path.join(site, 'other.txt'), 'fresh');
  assert.equal(await opened.page.evaluate(() => fetch('other.txt').then((response) => response.text())), 'fresh');
  await clean(opened);
});

test('a new release waits, is announced, and takes over as a whole', async () => {
  const opened = await open();
  const { page } = opened;
  const old = await versionOf(page);
  const next = await publish('Next');
  assert.notEqual(next, old);
  await page.reload();
  assert.equal(await versionOf(page), old, 'the old release as long as it is in force');
  await page.waitForSelector('nac-update:has-text("new version")', MINUTE);
  assert.equal(await page.title(), 'Neuron Activation Coverage');
  await Promise.all([page.waitForEvent('load', MINUTE), page.click('nac-update button')]);
  await controlled(page);
  assert.equal(await page.title(), 'Next');
  assert.equal(await versionOf(page), next);
  await settled(page);
  assert.equal(await page.locator('nac-update').isVisible(), false);
  // What both releases share was fetched once, and nothing of the old one is kept.
  const kept = await page.evaluate(async () => {
    const [name] = await caches.keys();
    return (await (await caches.open(name)).keys()).filter(({ url }) => url.includes('index.html')).length;
  });
  assert.equal(kept, 1);
  await clean(opened);
});

test('a new release does not take over under another tab', async () => {
  const opened = await open();
  const { page } = opened;
  const other = await page.context().newPage();
  await other.goto(address);
  const next = await publish('Next');
  await page.reload();
  await page.waitForSelector('nac-update:has-text("new version")', MINUTE);
  await page.click('nac-update button');
  await page.waitForSelector('nac-update:has-text("Another tab")');
  assert.notEqual(await versionOf(page), next);
  await other.close();
  await page.click('nac-update button');
  await page.waitForSelector('nac-update:has-text("new version")');
  await Promise.all([page.waitForEvent('load', MINUTE), page.click('nac-update button')]);
  assert.equal(await versionOf(page), next);
  await clean(opened);
});

test('a release of which a file is another is not installed', async () => {
  const opened = await open();
  const { page } = opened;
  const old = await versionOf(page);
  await publish('Next');
  writeFileSync(path.join(site, 'index.html'), '<title>Half of something else</title>');
  await page.reload();
  const state = await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    await registration.update();
    const worker = registration.installing;
    await new Promise((resolve) => (worker.state === 'redundant' ? resolve() : worker.addEventListener('statechange', () => worker.state === 'redundant' && resolve())));
    return { waiting: registration.waiting, active: registration.active.state };
  });
  assert.deepEqual(state, { waiting: null, active: 'activated' });
  await page.reload();
  assert.equal(await versionOf(page), old);
  await page.context().close();
});

for (const [where, name] of [['', 'web/app.js'], ['', 'web/style.css'], ['web/demo/dashboard.html', 'web/words.js']])
  test(`what was altered on the server does not run: ${name}`, async () => {
    const file = path.join(site, name);
    const addition = name.endsWith('.css') ? '\n:root { --altered: 1; }\n' : '\nwindow.altered = true;\n';
    writeFileSync(file, `${readFileSync(file, 'utf8')}${addition}`);
    const { page, faults } = await openPage(browser, `${address}${where}`);
    await page.waitForTimeout(500);
    assert.equal(await page.evaluate(() => window.altered ?? getComputedStyle(document.documentElement).getPropertyValue('--altered')), '');
    assert.ok(faults.some((text) => /integrity/.test(text) && text.includes(path.basename(name))), faults.join('\n'));
    await page.context().close();
  });

test('bytes that leave the tab are counted', async () => {
  const opened = await open();
  const { page } = opened;
  await page.waitForSelector('[data-count=sent]');
  assert.equal(await page.locator('[data-count=sent]').innerText(), '0 bytes');
  await page.evaluate(() => fetch('.', { method: 'POST', body: 'hello' }));
  await page.waitForSelector('[data-count=sent]:has-text("5 bytes")');
  assert.equal(await page.locator('[data-count=elsewhere]').innerText(), '0');
  await page.context().close();
});
