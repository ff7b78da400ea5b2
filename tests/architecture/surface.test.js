// What is there is used, and nothing talks to the network: exported symbols, functions, modules, limits, checked on the sources.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const read = (file) => readFileSync(path.join(root, file), 'utf8');
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' }).split('\n').filter(Boolean);
const sources = (pattern) => files.filter((file) => pattern.test(file)).map((file) => ({ file, text: withoutComments(read(file)) }));

/** Comments may speak of anything. Good enough for sources that hold no comment marks in their strings but '//' of addresses. */
function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}

/** How often `name` stands alone in `text`. */
const mentions = (text, name) => text.match(new RegExp(`(?<![\\w$])${name}(?![\\w$])`, 'g'))?.length ?? 0;

const exported = read('wasm/exports.txt').split('\n').filter((line) => /^[a-z_]/.test(line));
const engine = sources(/^wasm\/js\/.*\.js$/).map(({ text }) => text).join('\n');

test('every symbol that the WebAssembly binary exports is used by the package, and the other way round', () => {
  assert.deepEqual(exported.filter((name) => mentions(engine, name) === 0), []);
  const used = new Set([...engine.matchAll(/\bnacw?_[a-zA-Z0-9_]+/g)].map(([name]) => name));
  assert.deepEqual([...used].filter((name) => !exported.includes(name)), []);
});

test("every function of the core's headers is called from outside of its file", () => {
  const c = sources(/^(core|wasm|tests|bench)\/.*\.[ch]$/);
  const declared = c
    .filter(({ file }) => /^core\/.*\.h$/.test(file) && !/onnx\.pb\.h$/.test(file))
    .flatMap(({ text }) => [...text.matchAll(/^[a-z][\w *]*?\b\*?(nac_\w+)\([^;{]*\)[^;{]*;/gm)].map(([, name]) => name));
  assert.ok(declared.length > 150, `${declared.length} declarations were found`);
  const unused = declared.filter((name) => {
    if (exported.includes(name)) return false;
    const callers = c.filter(({ file, text }) => /\.c$/.test(file) && mentions(text, name) > 0);
    const headers = c.filter(({ file, text }) => /\.h$/.test(file) && mentions(text, name) > 1);
    return callers.length + headers.length < 2; // the first is where it is defined
  });
  assert.deepEqual(unused, []);
});

test('every export of the package and the command is imported somewhere', () => {
  const all = sources(/\.(m?js|ts)$/);
  const unused = [];
  for (const { file, text } of all.filter(({ file }) => /^wasm\/(js|cli)\//.test(file)))
    for (const [, name] of text.matchAll(/^export (?:async )?(?:function\*?|class|const) (\w+)/gm))
      if (!all.some((other) => other.file !== file && mentions(other.text, name) > 0)) unused.push(`${file}: ${name}`);
  assert.deepEqual(unused, []);
});

test('the network is reached by fetch alone, in the hosts and the page, for addresses that it is given', () => {
  const ways = /\b(XMLHttpRequest|WebSocket|WebTransport|EventSource|sendBeacon|RTCPeerConnection|importScripts)\b|from 'node:(https?|http2|net|tls|dgram|dns)'|\bimport\((?!['"`]\.)/;
  const found = sources(/^(wasm\/(js|cli)|web)\/.*\.js$/).filter(({ text }) => ways.test(text)).map(({ file }) => file);
  // The static server of `nac serve` listens; it asks nobody.
  assert.deepEqual(found.filter((file) => file !== 'wasm/cli/serve.js'), []);
  const fetching = sources(/^wasm\/(js|cli)\/.*\.js$/).filter(({ text }) => /(?<![\w.])fetch\(/.test(text)).map(({ file }) => file);
  assert.deepEqual(fetching, ['wasm/js/host-browser.js', 'wasm/js/host-node.js']);
});

test('every limit can be set by whoever compiles, and SECURITY.md states it', () => {
  const header = read('core/include/nac_limits.h');
  const limits = [...header.matchAll(/^#define (NAC_MAX_\w+) /gm)].map(([, name]) => name);
  assert.ok(limits.length > 15);
  const guarded = [...header.matchAll(/^#ifndef (NAC_MAX_\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(limits, guarded);
  const stated = read('SECURITY.md');
  assert.deepEqual(limits.filter((name) => !stated.includes(`\`${name}\``)), []);
  // One place: no other file sets a ceiling on what strangers' bytes ask for.
  const elsewhere = sources(/^core\/.*\.[ch]$/).filter(({ file, text }) => !/nac_limits\.h$/.test(file) && /#define NAC_MAX_/.test(text));
  assert.deepEqual(elsewhere.map(({ file }) => file), []);
});
