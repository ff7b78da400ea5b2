// Makes dist/, the page as it is hosted: index.html beside the .wasm files, and what it needs below it. Everything is
// addressed relative to the file that asks, so dist/ works from any static host and any path. Then the same page as one file.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { flatten } from './bundle/flat.js';
import { secure } from './bundle/integrity.js';
import { release } from './bundle/release.js';
import { writeSingle } from './bundle/single.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = path.join(root, 'dist');
const MODEL = ['cifar10-resnet18.onnx', 'cifar10-resnet18.safetensors'];
const BINARIES = ['nac-simd.wasm', 'nac-relaxed.wasm'];

/** Replaces a folder of dist/ by the files of the source's that `wanted` accepts. */
function copy(folder, wanted) {
  fs.rmSync(path.join(dist, folder), { recursive: true, force: true });
  fs.cpSync(path.join(root, folder), path.join(dist, folder), {
    recursive: true,
    filter: (source) => fs.statSync(source).isDirectory() || wanted(path.relative(path.join(root, folder), source)),
  });
}

/** @param {string} name of a file in dist/ @param {(text: string) => string | Promise<string>} change */
async function edit(name, change) {
  const file = path.join(dist, name);
  fs.writeFileSync(file, await change(fs.readFileSync(file, 'utf8')));
}

/** One style sheet, in the place of the first, instead of one for each room. @param {string} html */
function joinStyles(html) {
  const [[first], ...rest] = [...html.matchAll(/ *<link rel="stylesheet" href="([^"]+)">\n/g)].map(([tag, href]) => [path.join(dist, href), tag]);
  for (const [sheet] of rest) {
    fs.appendFileSync(first, fs.readFileSync(sheet));
    fs.rmSync(sheet);
  }
  return rest.reduce((page, [, tag]) => page.replace(tag, ''), html);
}

copy('web', (name) => /\.(js|css|svg|html)$/.test(name) && !/^(build\.js|index\.html|bundle\/|offline\/service-worker\.js)/.test(name));
copy('wasm/js', (name) => name.endsWith('.js') && !name.endsWith('-node.js') && name !== 'node.js');
copy('models/samples', (name) => name.endsWith('.png'));
for (const name of MODEL) {
  const source = path.join(root, 'models', name);
  if (fs.existsSync(source)) fs.copyFileSync(source, path.join(dist, 'models', name));
  else console.error(`models/${name} is not there yet: the page will say so.`);
}

// The binaries lie beside the page; in the package they lie in dist/.
await edit('wasm/js/host-browser.js', (text) => text.replaceAll("'../../dist/nac-", "'../../nac-"));

// The same page, one folder further up.
const page = fs.readFileSync(path.join(root, 'web/index.html'), 'utf8')
  .replace(/="\.\//g, '="./web/')
  .replaceAll('="../', '="./');
fs.writeFileSync(path.join(dist, 'index.html'), page);
await writeSingle(dist);
await edit('index.html', (html) => joinStyles(html));
// The page and its workers; the modules themselves stay for the elements and the demos.
for (const name of ['web/app.js', 'wasm/js/worker-browser.js']) await flatten(path.join(dist, name));

const pages = ['index.html', ...fs.readdirSync(path.join(dist, 'web'), { recursive: true }).map((name) => `web/${name}`).filter((name) => name.endsWith('.html'))];
for (const name of pages) await edit(name, (html) => secure(html, path.dirname(path.join(dist, name))));

const parts = (folder) => fs.readdirSync(path.join(dist, folder), { recursive: true }).map((name) => `${folder}/${name}`).filter((name) => fs.statSync(path.join(dist, name)).isFile());
const { version, files } = await release(dist, ['index.html', ...BINARIES, ...parts('web'), ...parts('wasm'), ...parts('models')].sort(), edit);
console.log(`dist/: release ${version}, ${files} files`);
