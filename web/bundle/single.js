// dist/nac-single.html: the page as one file that works by double click. A page opened from file:// may load nothing beside
// itself, neither modules nor workers nor binaries, so all of it is inside: one classic script, classic workers from blobs,
// everything else in base64. Its policy names no server at all.
import fs from 'node:fs';
import path from 'node:path';
import * as esbuild from 'esbuild';
import { hashOf } from './integrity.js';

// The forms that every bundler knows, and that the sources keep to.
const WORKER = /new Worker\(\s*new URL\('([^']+)', import\.meta\.url\),\s*\{ type: 'module' \}\s*\)/g;
const FILE = /new URL\('([^']+)', import\.meta\.url\)/g;

/** Puts the address of an embedded file in the place of every literal new URL(…, import.meta.url). */
function embedding(dist, embedded) {
  return {
    name: 'embedding',
    setup(build) {
      build.onLoad({ filter: /\.js$/ }, async ({ path: file }) => {
        const keep = async (url, make) => {
          const target = path.resolve(path.dirname(file), url);
          const key = path.relative(dist, target).split(path.sep).join('/');
          if (!embedded.has(key)) {
            embedded.set(key, ''); // a worker may ask for itself
            embedded.set(key, await make(target));
          }
          return `new URL(globalThis.nacFiles[${JSON.stringify(key)}])`;
        };
        let source = fs.readFileSync(file, 'utf8');
        for (const [all, url] of source.matchAll(WORKER)) source = source.replace(all, `new Worker(${await keep(url, (target) => script(target, dist, embedded))})`);
        for (const [all, url] of source.matchAll(FILE)) source = source.replace(all, await keep(url, (target) => fs.readFileSync(target)));
        return { contents: source };
      });
    },
  };
}

/** A module with all that it imports, as a classic script. */
async function script(entry, dist, embedded) {
  const { outputFiles } = await esbuild.build({
    entryPoints: [entry], bundle: true, write: false, minify: true, format: 'iife', target: 'es2022', charset: 'utf8',
    plugins: [embedding(dist, embedded)],
  });
  return Buffer.from(outputFiles[0].contents);
}

/** Runs first: makes blobs of the embedded files and tells their addresses (see locate.js). */
function unpack() {
  const types = { js: 'text/javascript', png: 'image/png', wasm: 'application/wasm', svg: 'image/svg+xml' };
  globalThis.nacFiles = {};
  for (const element of document.querySelectorAll('script[data-file]')) {
    const text = atob(element.textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
    const name = element.dataset.file;
    globalThis.nacFiles[name] = globalThis.nacFiles[`./${name}`] = URL.createObjectURL(new Blob([bytes], { type: types[name.split('.').at(-1)] ?? '' }));
    element.remove();
  }
}

/** @param {string} dist with the page for hosting in it, not yet stamped */
export async function writeSingle(dist) {
  const read = (name) => fs.readFileSync(path.join(dist, name));
  let html = read('index.html').toString();
  const embedded = new Map();
  const [entry] = [...html.matchAll(/<script type="module" src="([^"]+)"><\/script>/g)].map(([, src]) => src);
  const app = await script(path.join(dist, entry), dist, embedded);
  for (const [, name] of html.matchAll(/ data-(?:model|profile)="\.\/([^"]+)"/g)) if (fs.existsSync(path.join(dist, name))) embedded.set(name, read(name));
  for (const name of fs.readdirSync(path.join(dist, 'models/samples'), { recursive: true }))
    if (name.endsWith('.png')) embedded.set(`models/samples/${name}`, read(`models/samples/${name}`));

  const style = [...html.matchAll(/<link rel="stylesheet" href="([^"]+)">/g)].map(([, href]) => read(href).toString()).join('\n');
  // What ends a script element may not occur in one.
  const code = `(${unpack})();\n${app}`.replaceAll('</script', '<\\/script');
  const policy = [
    "default-src 'none'", `script-src '${hashOf(code)}' 'wasm-unsafe-eval'`, `style-src '${hashOf(style)}'`, 'worker-src blob:', 'connect-src blob:',
    'img-src blob: data:', "base-uri 'none'", "form-action 'none'",
  ].join('; ');
  const icon = read('web/icon.svg').toString('base64');
  const data = [...embedded].map(([name, bytes]) => `<script type="text/plain" data-file="${name}">${bytes.toString('base64')}</script>\n`);
  html = html
    .replace(/(http-equiv="Content-Security-Policy" content=")[^"]*/, `$1${policy}`)
    .replace(/ *<link rel="stylesheet" href="[^"]+">\n/g, '')
    .replace(/ *<script type="module" src="[^"]+"><\/script>\n/g, '')
    .replace(/ *(<!--.*-->|<link rel="preload" [^>]+>)\n/g, '') // it has all of it
    .replace(/ *<p class="hosted">.*<\/p>\n/g, '') // leads to pages that aren't in here
    .replace(/(<link rel="icon" href=")[^"]+/, `$1data:image/svg+xml;base64,${icon}`)
    .replace('</head>', () => `  <style>${style}</style>\n</head>`)
    .replace('</body>', () => `${data.join('')}<script>${code}</script>\n</body>`);
  fs.writeFileSync(path.join(dist, 'nac-single.html'), html);
}
