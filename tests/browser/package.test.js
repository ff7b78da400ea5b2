// The npm package as its users get it: packed, installed into an empty project, and used from Node, from TypeScript, and
// through the bundlers that people have.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { clean, launch, openPage, sample, scoreInNode, serve } from './helpers/browser.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const consumer = fileURLToPath(new URL('./consumer/', import.meta.url));
const LARGEST = 1_000_000; // bytes of the tarball
const NAMES = ['cifar10-resnet18.onnx', 'cifar10-resnet18.safetensors'];

let folder, app, tarball, browser;
before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'nac-package-'));
  tarball = pack(root);
  app = path.join(folder, 'app');
  cpSync(path.join(consumer, 'app'), app, { recursive: true });
  writeFileSync(path.join(app, 'package.json'), '{ "name": "app", "private": true }\n'); // CommonJS, as npm init makes it
  install(tarball);
  mkdirSync(path.join(app, 'public/models'), { recursive: true });
  for (const name of NAMES) cpSync(path.join(root, 'models', name), path.join(app, 'public/models', name));
  cpSync(sample('cifar10/ship.png'), path.join(app, 'public/models/ship.png'));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  if (folder) rmSync(folder, { recursive: true });
});

/** The tarball of a package. @param {string} source */
function pack(source) {
  const name = execFileSync('npm', ['pack', '--silent', source], { cwd: folder, encoding: 'utf8' }).trim().split('\n').at(-1);
  return path.join(folder, name);
}

/** @param {string} file */
function install(file) {
  execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', file], { cwd: app, stdio: 'pipe' });
}

/** Node on a program in the app. @returns {{ status: number, stdout: string, stderr: string }} */
function node(...args) {
  return spawnSync(process.execPath, args, { cwd: app, encoding: 'utf8' });
}

/** The bundlers, installed once for each version of their lock. */
function bundlers() {
  const lock = readFileSync(path.join(consumer, 'package-lock.json'), 'utf8');
  const home = path.join(root, '.cache/bundlers');
  const stamp = path.join(home, 'installed.json');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
    mkdirSync(home, { recursive: true });
    for (const name of ['package.json', 'package-lock.json']) cpSync(path.join(consumer, name), path.join(home, name));
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: home, stdio: 'pipe' });
    writeFileSync(stamp, lock);
  }
  cpSync(path.join(consumer, 'bundle.js'), path.join(home, 'bundle.js'));
  return path.join(home, 'bundle.js');
}

/** Opens what a bundler made and compares what it scores with Node's. */
async function tryOut(address) {
  const opened = await openPage(browser, address);
  await opened.page.waitForFunction(() => window.run, null, { timeout: 60_000 });
  const { result, shown } = await opened.page.evaluate(() => window.run());
  const { ms, file, ...expected } = await scoreInNode(readFileSync(sample('cifar10/ship.png')));
  assert.deepEqual(result, JSON.parse(JSON.stringify(expected)));
  assert.equal(shown, expected.score);
  await clean(opened);
}

/** @param {string} tool */
async function bundleAndTry(tool) {
  const out = path.join(app, 'out');
  rmSync(out, { recursive: true, force: true });
  const { status, stderr } = node(bundlers(), tool, app);
  assert.equal(status, 0, stderr);
  if (tool !== 'vite') {
    cpSync(path.join(app, 'public'), out, { recursive: true });
    writeFileSync(path.join(out, 'index.html'), readFileSync(path.join(app, 'index.html')));
  }
  const server = await serve(out);
  try {
    await tryOut(server.address);
  } finally {
    server.close();
  }
}

test('the tarball is small, and holds what its exports name', () => {
  assert.ok(statSync(tarball).size <= LARGEST, `${statSync(tarball).size} bytes`);
  const home = path.join(app, 'node_modules/nac-wasm');
  const { exports, bin, types } = JSON.parse(readFileSync(path.join(home, 'package.json'), 'utf8'));
  const targets = [types, ...Object.values(bin), ...Object.values(exports).flatMap((value) => (typeof value === 'string' ? value : Object.values(value)))];
  assert.deepEqual(targets.filter((target) => !existsSync(path.join(home, target))), []);
  for (const text of ['README.md', 'LICENSE']) assert.ok(existsSync(path.join(home, text)));
});

test('everything a module of the package imports is in it', () => {
  for (const entry of ['wasm/js/index.js', 'wasm/js/node.js', 'wasm/js/worker-browser.js', 'wasm/js/worker-node.js', 'wasm/cli/nac.js', 'web/element/index.js']) {
    const missing = [];
    const seen = new Set();
    const follow = (file) => {
      if (seen.has(file)) return;
      seen.add(file);
      if (!existsSync(file)) return missing.push(file);
      for (const [, relative] of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)) if (file.endsWith('.js')) follow(path.resolve(path.dirname(file), relative));
    };
    follow(path.join(app, 'node_modules/nac-wasm', entry));
    assert.deepEqual(missing, [], entry);
  }
});

test('import scores in Node', async () => {
  writeFileSync(path.join(app, 'score.mjs'), `
    import { readFile } from 'node:fs/promises';
    import { loadDetector } from 'nac-wasm';
    const detector = await loadDetector({ model: 'public/models/${NAMES[0]}', profile: 'public/models/${NAMES[1]}', variant: 'simd', workers: 1 });
    console.log((await detector.score(await readFile('public/models/ship.png'))).score);
    detector.close();`);
  const { stdout, stderr } = node('score.mjs');
  assert.equal(Number(stdout), (await scoreInNode(readFileSync(sample('cifar10/ship.png')))).score, stderr);
});

test('require works where Node can, and says what to do where it cannot', () => {
  writeFileSync(path.join(app, 'require.cjs'), "console.log(typeof require('nac-wasm').loadDetector);");
  const { status, stdout, stderr } = node('require.cjs');
  if (status === 0) assert.equal(stdout.trim(), 'function');
  else assert.match(stderr, /require\(\) of ES Module .* dynamic import\(\)/s);
});

test('the command says how to come by a model, and takes the bundled one when that is installed', () => {
  const nac = path.join(app, 'node_modules/.bin/nac');
  const without = node(nac, 'score', 'public/models/ship.png');
  assert.equal(without.status, 3);
  assert.match(without.stderr, /^nac: no model is installed: --model names one, or npm install nac-wasm-cifar10 /);
  const page = node(nac, 'serve');
  assert.equal(page.status, 3);
  assert.match(page.stderr, /^nac: the page is not part of the package/);
  install(pack(path.join(root, 'models')));
  const { status, stdout, stderr } = node(nac, 'score', '--json', '--variant', 'simd', 'public/models/ship.png');
  assert.equal(status, 0, stderr);
  assert.equal(JSON.parse(stdout).results[0].label, 'ship');
});

test('the types hold for strict programs, with a DOM and without', () => {
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  const strict = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--skipLibCheck', 'false', '--target', 'es2022'];
  const programs = [
    ['types.ts', '--module', 'esnext', '--moduleResolution', 'bundler', '--lib', 'es2022,dom,dom.iterable', '--types', ''],
    ['types-node.ts', '--module', 'nodenext', '--lib', 'es2022', '--types', 'node', '--typeRoots', path.join(root, 'node_modules/@types')],
  ];
  writeFileSync(path.join(app, 'package.json'), readFileSync(path.join(app, 'package.json'), 'utf8').replace('{', '{ "type": "module",'));
  for (const program of programs) {
    const { status, stdout } = node(tsc, ...strict, ...program);
    assert.equal(status, 0, stdout);
  }
});

for (const tool of ['vite', 'webpack', 'esbuild']) test(`${tool} builds a page that scores as Node does`, () => bundleAndTry(tool));

test('the development server of Vite serves it unbundled', async () => {
  const server = spawn(process.execPath, [bundlers(), 'vite-dev', app], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const [line] = await once(server.stdout, 'data');
    await tryOut(String(line).trim());
  } finally {
    server.stdin.end();
    await once(server, 'close');
  }
});
