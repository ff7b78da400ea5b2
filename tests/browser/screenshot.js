// Pictures of the page's main states: node tests/browser/screenshot.js [FOLDER [SITE]]. Without FOLDER it renews the README's:
// web/screenshot.png and web/screenshots/.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { drop, launch, openPage, sample, serve, settled } from './helpers/browser.js';
import { writeShifted } from './helpers/pictures.js';

const [folder, site] = process.argv.slice(2);
const server = await serve(site);
const browser = await launch();
const choose = async (page, name) => {
  await page.click(`.sample[title="${name}"]`);
  await page.waitForSelector(`nac-result .file:has-text("${name.replaceAll(' ', '-')}")`);
  await settled(page);
};

/** @param {string} name @param {any} options @param {(page: any) => Promise<any>} act @param {boolean} [full] */
async function shoot(name, options, act, full = true) {
  const { page, faults } = await openPage(browser, server.address, options);
  await settled(page).catch(() => {});
  await act(page);
  await page.waitForTimeout(300);
  if (faults.length > 0) console.error(name, faults);
  await page.screenshot({ path: path.join(folder ?? '', name), fullPage: full });
  await page.context().close();
}

const heat = async (page) => {
  const last = page.locator('.verdict-card .segments label').last();
  await last.click();
};

const many = async (page) => {
  await page.click('text=Score all of them');
  await page.waitForSelector('text=/images in .* s/');
  await page.waitForFunction(() => [...document.querySelectorAll('.tile')].every((tile) => tile.querySelector('canvas')?.getContext('2d').getImageData(64, 64, 1, 1).data[3]));
};

const pictures = mkdtempSync(path.join(os.tmpdir(), 'nac-pictures-'));
writeShifted(path.join(pictures, 'familiar'), ['cifar10'], 10);
writeShifted(path.join(pictures, 'clothes'), ['fashion-mnist'], 8);
writeShifted(path.join(pictures, 'digits'), ['mnist'], 8);
const give = (page, element, at, name) => page.setInputFiles(`${element} nac-folder >> nth=${at} >> input[data-folder]`, path.join(pictures, name));

const workshop = async (page) => {
  await page.click('text=Your own model');
  await page.click('text=Take the bundled one');
  await page.waitForSelector('.chip');
  await page.fill('#fraction', '40'); // or there would be too few for a threshold
  await give(page, 'nac-workshop', 0, 'familiar');
  await page.waitForSelector('text=/images counted/');
  await give(page, 'nac-workshop', 1, 'clothes');
  await page.waitForSelector('.figures:has-text("AUROC")');
};

const folders = async (page) => {
  await page.click('text=Two folders');
  await give(page, 'nac-evaluation', 0, 'familiar');
  await give(page, 'nac-evaluation', 1, 'digits');
  await page.waitForSelector('.metrics');
};

const lab = async (page) => {
  await page.locator('.lab').scrollIntoViewIfNeeded();
  await page.locator('#lab-blur').fill('4');
  await page.waitForSelector('.lab .lead:has-text("→")');
};

const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };
const outlier = async (page) => {
  await choose(page, 'coat');
  await heat(page);
  await page.evaluate(() => scrollTo(0, 0));
};

try {
  if (folder) {
    mkdirSync(folder, { recursive: true });
    await shoot('light-in.png', {}, lab);
    await shoot('dark-out.png', { colorScheme: 'dark' }, outlier);
    await shoot('phone.png', PHONE, (page) => choose(page, 'digit 7'));
    await shoot('many.png', {}, many);
    await shoot('many-phone-dark.png', { ...PHONE, colorScheme: 'dark' }, many);
    await shoot('workshop.png', {}, workshop);
    await shoot('workshop-phone-dark.png', { ...PHONE, colorScheme: 'dark' }, workshop);
    await shoot('folders.png', {}, folders);
    await shoot('folders-phone-dark.png', { ...PHONE, colorScheme: 'dark' }, folders);
    await shoot('error.png', {}, async (page) => { await drop(page, [fileURLToPath(import.meta.url)]); await page.waitForSelector('.error'); });
    await shoot('profile-error.png', { colorScheme: 'dark' }, async (page) => {
      await page.setInputFiles('#files', [{ name: 'other.safetensors', mimeType: '', buffer: Buffer.from('nothing like it') }]);
      await page.waitForSelector('.error');
    });
  } else {
    const web = fileURLToPath(new URL('../../web/', import.meta.url));
    mkdirSync(path.join(web, 'screenshots'), { recursive: true });
    await shoot(path.join(web, 'screenshot.png'), { viewport: { width: 1240, height: 960 } }, outlier, false);
    await shoot(path.join(web, 'screenshots/many.png'), { viewport: { width: 1000, height: 1000 } }, many, false);
    const top = (act, selector) => async (page) => { await act(page); await page.locator(selector).evaluate((element) => scrollTo(0, element.getBoundingClientRect().top + scrollY - 16)); };
    await shoot(path.join(web, 'screenshots/workshop.png'), { viewport: { width: 1000, height: 1000 } }, top(workshop, '.step:has(nac-tuning)'), false);
    await shoot(path.join(web, 'screenshots/folders.png'), { viewport: { width: 1000, height: 1000 }, colorScheme: 'dark' }, top(folders, 'nac-evaluation'), false);
  }
} finally {
  rmSync(pictures, { recursive: true });
  await browser.close();
  server.close();
}
