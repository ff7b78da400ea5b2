// The profile's self-test on the page: silent where the numbers are those of the machine that made the profile, else in plain words.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { makeEngine } from '../node/helpers/engine.js';
import { DIST, clean, drop, launch, openPage, serve, settled } from './helpers/browser.js';

let browser, server, folder;
before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'nac-self-test-'));
  [browser, server] = await Promise.all([launch(), serve()]);
});
after(async () => {
  await browser?.close();
  server?.close();
  rmSync(folder, { recursive: true });
});

test('the page says when this machine computes other numbers', async () => {
  const bundled = (ending) => path.join(DIST, 'models', `cifar10-resnet18.${ending}`);
  const profile = (await makeEngine()).openProfile(new Uint8Array(readFileSync(bundled('safetensors'))));
  const { maxLogit, ...rest } = profile.metadata('selfTest');
  profile.setMetadata('selfTest', { ...rest, maxLogit: maxLogit + 1 });
  const elsewhere = path.join(folder, 'elsewhere.safetensors');
  writeFileSync(elsewhere, profile.save());

  const opened = await openPage(browser, `${server.address}?variant=simd`);
  const { page } = opened;
  await settled(page);
  const alert = page.locator('nac-engine-state [role=alert]');
  assert.equal(await alert.count(), 0);
  await drop(page, [bundled('onnx'), elsewhere]);
  await alert.waitFor();
  assert.match(await alert.innerText(), /^Take the scores with care: this machine computes other numbers than the one that made the profile/);
  await clean(opened);
});
