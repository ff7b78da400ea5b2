// New object or bad camera: the pictures in Node, the sliders in a real Chromium.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { PNG } from 'pngjs';
import { NEUTRAL, degrade, shrink, toRgb } from '../../web/lab/degrade.js';
import { noise } from '../node/helpers/scene.js';
import { clean, pageUnderTest, sample, scoreInNode } from './helpers/browser.js';

const picture = (side = 24) => ({ pixels: noise(5, side), width: side, height: side });
const mean = (pixels) => pixels.reduce((sum, level) => sum + level, 0) / pixels.length;
const spread = (pixels) => Math.sqrt(pixels.reduce((sum, level) => sum + (level - mean(pixels)) ** 2, 0) / pixels.length);
const roughness = ({ pixels, width }) => {
  let sum = 0;
  for (let i = 3; i < pixels.length; ++i) if (Math.floor(i / 3) % width !== 0) sum += Math.abs(pixels[i] - pixels[i - 3]);
  return sum / pixels.length;
};

test('without any change the pixels are the same', () => {
  assert.deepEqual(degrade(picture(), NEUTRAL), picture());
});

test('blur takes detail away and keeps the light; a flat picture stays as it is', () => {
  const blurred = degrade(picture(), { ...NEUTRAL, blur: 5 });
  assert.ok(roughness(blurred) < 0.5 * roughness(picture()));
  assert.ok(Math.abs(mean(blurred.pixels) - mean(picture().pixels)) < 2);
  const flat = { pixels: new Uint8Array(3 * 64).fill(77), width: 8, height: 8 };
  assert.deepEqual(degrade(flat, { ...NEUTRAL, blur: 30 }).pixels, flat.pixels);
});

test('a Gaussian of one pixel spreads a point as it should', () => {
  const point = { pixels: new Uint8Array(3 * 21 * 21), width: 21, height: 21 };
  point.pixels.fill(255, 3 * (10 * 21 + 10), 3 * (10 * 21 + 10) + 3);
  const { pixels } = degrade(point, { ...NEUTRAL, blur: 100 / 21 });
  const expected = (dx, dy) => Math.round((255 * Math.exp(-(dx * dx + dy * dy) / 2)) / (2 * Math.PI));
  // Weights beyond three deviations are cut off, a thousandth of all.
  for (const [dx, dy] of [[0, 0], [1, 0], [0, 1], [1, 1], [2, 0]]) assert.ok(Math.abs(pixels[3 * ((10 + dy) * 21 + 10 + dx)] - expected(dx, dy)) <= 1, `${dx}, ${dy}`);
});

test('noise has the deviation it is asked for, and is the same every time', () => {
  const grey = { pixels: new Uint8Array(3 * 64 * 64).fill(128), width: 64, height: 64 };
  const noisy = degrade(grey, { ...NEUTRAL, noise: 20 });
  assert.ok(Math.abs(spread(noisy.pixels) - 20) < 0.5);
  assert.ok(Math.abs(mean(noisy.pixels) - 128) < 0.5);
  assert.deepEqual(degrade(grey, { ...NEUTRAL, noise: 20 }), noisy);
});

test('a stop doubles the light, up to white', () => {
  const { pixels } = degrade({ pixels: Uint8Array.from([10, 100, 200]), width: 1, height: 1 }, { ...NEUTRAL, brightness: 1 });
  assert.deepEqual([...pixels], [20, 200, 255]);
});

test('a large picture becomes the mean of its blocks; a small one stays', () => {
  assert.equal(shrink(picture(), 24 * 24).factor, 1);
  const halves = shrink({ pixels: Uint8Array.from([0, 0, 0, 20, 0, 0, 40, 0, 0, 60, 0, 0]), width: 2, height: 2 }, 1);
  assert.deepEqual(halves, { pixels: Uint8Array.from([30, 0, 0]), width: 1, height: 1, factor: 2 });
  const wide = shrink({ pixels: noise(1, 100), width: 10_000, height: 1 }, 100);
  assert.deepEqual([wide.width, wide.height], [1000, 1]);
});

const { open } = pageUnderTest();

test('the score moves with the slider, to what Node says of the same pixels, and back', async () => {
  const opened = await open();
  const { page } = opened;
  const name = 'cifar10/ship.png';
  const { data, width, height } = PNG.sync.read(readFileSync(sample(name)));
  const score = async (settings) => (await scoreInNode(degrade(toRgb({ pixels: data, width, height }), { ...NEUTRAL, ...settings }))).score.toFixed(3);
  const before = await score({});
  await page.locator('.lab').scrollIntoViewIfNeeded();
  await page.locator('#lab-blur').fill('4');
  await page.waitForSelector(`.lab .lead:has-text("${before} → ${await score({ blur: 4 })}")`, { timeout: 60_000 });
  await page.locator('#lab-noise').fill('25');
  await page.waitForSelector(`.lab .lead:has-text("${before} → ${await score({ blur: 4, noise: 25 })}")`, { timeout: 60_000 });
  await page.locator('#lab-brightness').fill('-1.5');
  await page.waitForSelector(`.lab .lead:has-text("${before} → ${await score({ blur: 4, noise: 25, brightness: -1.5 })}")`, { timeout: 60_000 });
  assert.ok(await page.locator('.lab canvas').evaluate((canvas) => canvas.width) === 32);
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('text=Save this picture')]);
  const kept = PNG.sync.read(readFileSync(await download.path()));
  assert.deepEqual(toRgb({ pixels: kept.data, width: kept.width, height: kept.height }), degrade(toRgb({ pixels: data, width, height }), { ...NEUTRAL, blur: 4, noise: 25, brightness: -1.5 }));
  await page.click('text=As it was');
  await page.waitForSelector(`.lab .lead:has-text("As given: ${before}")`, { timeout: 60_000 });
  // JPEG goes through the engine's own decoder: it may move the score, but not by chance.
  const said = [];
  for (let i = 0; i < 2; ++i) {
    await page.locator('#lab-quality').fill('101');
    await page.waitForSelector('.lab .lead:has-text("As given")', { timeout: 60_000 });
    await page.locator('#lab-quality').fill('5');
    await page.waitForSelector('.lab .lead:has-text("→")', { timeout: 60_000 });
    said.push(await page.locator('.lab .lead').innerText());
  }
  assert.equal(said[0], said[1]);
  await clean(opened);
});
