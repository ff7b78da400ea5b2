// Pictures of the page's main states: node tests/browser/screenshot.js [FOLDER [SITE]]. Without FOLDER it renews
// web/screenshot.png, the README's.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { drop, launch, openPage, sample, serve, settled } from './helpers/browser.js';

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
  const { page } = await openPage(browser, server.address, options);
  await settled(page).catch(() => {});
  await act(page);
  await page.waitForTimeout(300);
  await page.screenshot({ path: path.join(folder ?? '', name), fullPage: full });
  await page.context().close();
}

const heat = async (page) => {
  const last = page.locator('.verdict-card .segments label').last();
  await last.click();
};

try {
  if (folder) {
    mkdirSync(folder, { recursive: true });
    await shoot('light-in.png', {}, async () => {});
    await shoot('dark-out.png', { colorScheme: 'dark' }, async (page) => { await choose(page, 'shirt'); await heat(page); });
    await shoot('phone.png', { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, colorScheme: 'light' }, (page) => choose(page, 'digit 7'));
    const many = async (page) => { await page.click('text=Score all of them'); await page.waitForSelector('text=/images in .* s/'); };
    await shoot('many.png', {}, many);
    await shoot('many-phone-dark.png', { viewport: { width: 390, height: 844 }, colorScheme: 'dark' }, many);
    await shoot('error.png', {}, async (page) => { await drop(page, [fileURLToPath(import.meta.url)]); await page.waitForSelector('.error'); });
    await shoot('profile-error.png', { colorScheme: 'dark' }, async (page) => {
      await page.setInputFiles('#files', [{ name: 'other.safetensors', mimeType: '', buffer: Buffer.from('nothing like it') }]);
      await page.waitForSelector('.error');
    });
  } else {
    const file = fileURLToPath(new URL('../../web/screenshot.png', import.meta.url));
    await shoot(file, { viewport: { width: 1240, height: 960 } }, async (page) => { await choose(page, 'shirt'); await heat(page); await page.evaluate(() => scrollTo(0, 0)); }, false);
  }
} finally {
  await browser.close();
  server.close();
}
