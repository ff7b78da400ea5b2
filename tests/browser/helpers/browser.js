// A real Chromium and a server for the built page. Debian's browser, driven over its debugging protocol; nothing is downloaded.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { listen } from '../../../wasm/cli/serve.js';
import { loadDetector } from '../../../wasm/js/node.js';
import { needPackages } from '../../../wasm/toolchain/packages.js';

export const DIST = fileURLToPath(new URL('../../../dist/', import.meta.url));
export const SAMPLES = fileURLToPath(new URL('../../../models/samples/', import.meta.url));
export const sample = (name) => path.join(SAMPLES, name);

const EXECUTABLES = [process.env.NAC_CHROMIUM, '/usr/bin/chromium', '/usr/bin/google-chrome', '/usr/bin/chromium-browser'];
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'];

const installed = () => EXECUTABLES.find((file) => file && existsSync(file));

/** Debian's chromium, where there is no browser yet. */
async function needChromium() {
  if (!installed()) await needPackages(['browser']);
}

/** @param {string[]} [flags] besides those that every test has */
export async function launch(flags = []) {
  await needChromium();
  const executablePath = installed();
  return chromium.launch({ executablePath, args: [...FLAGS, ...flags], headless: true });
}

/** Milliseconds between two looks at what the browser has worked, and the work that a browser at rest does in them. */
const LOOK = 200;
const REST = 20;
// Of a machine on which that never happens.
const PATIENCE = 10_000;

/**
 * Waits until the browser has nothing to do: for every window Chromium loads the pages that its address bar is made of, which keeps two cores
 * busy for most of a second.
 * @param {import('playwright-core').Browser} browser
 */
export async function rest(browser) {
  const session = await browser.newBrowserCDPSession();
  const worked = async () => {
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    return processInfo.reduce((sum, { cpuTime }) => sum + 1000 * cpuTime, 0);
  };
  const started = performance.now();
  for (let calm = 0, before = await worked(); calm < 2 && performance.now() - started < PATIENCE;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK));
    const now = await worked();
    calm = now - before <= REST ? calm + 1 : 0;
    before = now;
  }
  await session.detach();
}

/** Serves a folder on a free port. @returns {Promise<{ address: string, close: () => void }>} */
export async function serve(folder = DIST) {
  const server = await listen(await realpath(folder), 0);
  return {
    address: `http://127.0.0.1:${server.address().port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/**
 * A page that keeps account of what must not happen. Without the service worker, unless the options allow it: every context would
 * fill a cache of its own. With atRest, it is opened when the browser has done what it does for every window.
 * @returns {Promise<{ page: import('playwright-core').Page, faults: string[], elsewhere: string[] }>}
 */
export async function openPage(browser, address, { atRest = false, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1240, height: 900 }, serviceWorkers: 'block', ...options });
  context.setDefaultTimeout(120_000); // a machine that builds besides is slow, and no test is about that
  const page = await context.newPage();
  const faults = [];
  const elsewhere = [];
  // A file has no origin: of it, nothing but itself is its own.
  const { origin } = new URL(address);
  const own = (url) => (origin === 'null' ? url === address : url.startsWith(origin));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('request', (request) => {
    const url = request.url();
    if (!own(url) && !/^(blob|data):/.test(url)) elsewhere.push(url);
  });
  // Violations, also those that no console shows.
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  if (atRest) await rest(browser);
  await page.goto(address);
  return { page, faults, elsewhere };
}

/**
 * For all tests of a file: one browser, and the built page on a server.
 * @param {string[]} [flags] of the browser
 */
export function pageUnderTest(flags) {
  const under = {
    browser: /** @type {any} */ (null),
    address: '',
    /** The page, at this query and room. */
    visit: (where = '', options = {}) => openPage(under.browser, `${under.address}${where}`, options),
    /** The page, and its first result. */
    open: async (options = {}) => {
      const opened = await under.visit('?variant=simd', options);
      await settled(opened.page);
      return opened;
    },
  };
  let server;
  before(async () => {
    [under.browser, server] = await Promise.all([launch(flags), serve()]);
    under.address = server.address;
  });
  after(async () => {
    await under.browser?.close();
    server?.close();
  });
  return under;
}

/** The page has scored the image it was asked for, to the last detail. */
export const settled = (page) => page.waitForSelector('.neurons svg', { timeout: 180_000 });

/** Nothing on the console, nothing against the policy, nothing from elsewhere; closes the page. */
export async function clean({ page, faults, elsewhere }) {
  assert.deepEqual(faults, []);
  assert.deepEqual(elsewhere, []);
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  await page.context().close();
}

/** What the button with this text saves. */
export async function saved(page, button) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click(`text=${button}`)]);
  return readFileSync(await download.path(), 'utf8');
}

let inNode;
/** The bundled detector in Node, by the binary that every browser runs; without a worker, so nobody need close it. */
export function detectorInNode() {
  const at = (name) => readFileSync(path.join(DIST, 'models', `cifar10-resnet18.${name}`));
  return (inNode ??= loadDetector({ model: at('onnx'), profile: at('safetensors'), variant: 'simd', workers: 0 }));
}

/** Its result. */
export const scoreInNode = async (image, options) => (await detectorInNode()).score(image, options);

/** Drops a folder as a hand does, which no script in a page could. @param {string} selector where @param {string} folder */
export async function dropFolder(page, selector, folder) {
  await page.locator(selector).scrollIntoViewIfNeeded();
  const { x, y, width, height } = await page.locator(selector).boundingBox();
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [folder], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) await session.send('Input.dispatchDragEvent', { type, x: x + width / 2, y: y + height / 2, data });
}

/** Drops files on the page as a hand does. @param {string[]} paths */
export async function drop(page, paths) {
  const { readFile } = await import('node:fs/promises');
  const files = await Promise.all(paths.map(async (file) => ({ name: path.basename(file), base64: (await readFile(file)).toString('base64') })));
  await page.evaluate((list) => {
    const transfer = new DataTransfer();
    for (const { name, base64 } of list) {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      transfer.items.add(new File([bytes], name));
    }
    document.querySelector('.drop').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }, files);
}
