// dist/nac-single.html, opened from the disk as by a double click: no server, the model inside, the same bits as in Node.
import assert from 'node:assert/strict';
import { mkdtempSync, cpSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { pathToFileURL } from 'node:url';
import { DIST, clean, drop, launch, openPage, sample, saved, scoreInNode, settled } from './helpers/browser.js';

let browser, folder, address;
before(async () => {
  browser = await launch();
  // Alone in a folder whose name has what URLs must escape: nothing of dist/ may be missed.
  folder = mkdtempSync(path.join(os.tmpdir(), 'nac single # '));
  cpSync(path.join(DIST, 'nac-single.html'), path.join(folder, 'nac-single.html'));
  address = pathToFileURL(path.join(folder, 'nac-single.html')).href;
});
after(async () => {
  await browser?.close();
  if (folder) rmSync(folder, { recursive: true });
});

test('the single file scores a sample and a dropped image as Node does, to the last bit', async () => {
  const opened = await openPage(browser, `${address}?variant=simd`);
  const { page } = opened;
  await settled(page);
  for (const name of ['cifar10/ship.png', 'mnist/digit-7.png']) {
    if (name.startsWith('mnist')) await drop(page, [sample(name)]);
    await page.waitForSelector(`nac-result .file:has-text("${path.basename(name)}")`);
    const there = JSON.parse(await saved(page, 'Result (JSON)'));
    assert.deepEqual(pick(there), pick(await scoreInNode(readFileSync(sample(name)))), name);
  }
  await clean(opened);
});

test('the single file scores many images on workers', async () => {
  const opened = await openPage(browser, address);
  await settled(opened.page);
  await opened.page.click('text=Score all of them');
  await opened.page.waitForSelector('text=/28 images in .* s/');
  await clean(opened);
});

test("the single file's policy lets it talk to nobody", async () => {
  const opened = await openPage(browser, address);
  await settled(opened.page);
  const reached = await opened.page.evaluate(() => fetch('https://example.org/', { method: 'POST', body: 'x' }).then(() => true, () => false));
  assert.equal(reached, false);
  const [violation] = await opened.page.evaluate(() => window.violations);
  assert.match(violation, /^connect-src https:\/\/example\.org/);
  await opened.page.context().close();
});

/** What cannot differ. */
const pick = ({ verdict, score, threshold, pValue, top, layers, baselines }) => JSON.parse(JSON.stringify({ verdict, score, threshold, pValue, top, layers, baselines }));
