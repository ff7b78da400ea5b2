// Copies the page into dist/: index.html beside the .wasm files, and what it needs below it. Everything is addressed
// relative to index.html, so dist/ works from any static host and any path.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = path.join(root, 'dist');
const MODEL = ['cifar10-resnet18.onnx', 'cifar10-resnet18.safetensors'];

/** Replaces a folder of dist/ by the files of the source's that `wanted` accepts. */
function copy(folder, wanted) {
  fs.rmSync(path.join(dist, folder), { recursive: true, force: true });
  fs.cpSync(path.join(root, folder), path.join(dist, folder), {
    recursive: true,
    filter: (source) => fs.statSync(source).isDirectory() || wanted(path.basename(source)),
  });
}

copy('web', (name) => /\.(js|css|svg)$/.test(name) && name !== 'build.js');
copy('wasm/js', (name) => name.endsWith('.js') && !name.endsWith('-node.js') && name !== 'node.js');
copy('models/samples', (name) => name.endsWith('.png'));
for (const name of MODEL) {
  const source = path.join(root, 'models', name);
  if (fs.existsSync(source)) fs.copyFileSync(source, path.join(dist, 'models', name));
  else console.error(`models/${name} is not there yet: the page will say so.`);
}

// The same page, one folder further up: only index.html knows where things lie.
const html = fs.readFileSync(path.join(root, 'web/index.html'), 'utf8')
  .replaceAll('="../dist/', '="./')
  .replaceAll('="../models/', '="./models/')
  .replace(/="\.\/([\w/-]+\.(?:css|js|svg))"/g, '="./web/$1"');
fs.writeFileSync(path.join(dist, 'index.html'), html);
