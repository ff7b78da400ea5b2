// Who may see whom, checked on the sources themselves: dependencies point down only (web -> wasm/js -> wasm -> core),
// and each third-party library is seen by one room.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file && !file.startsWith('tests/architecture/'));
const read = (file) => readFileSync(path.join(root, file), 'utf8');

/** Lines of files matching `names` in which `pattern` occurs, as "file: text". */
function occurrences(names, pattern) {
  const found = [];
  for (const file of files.filter((name) => names.test(name))) {
    for (const line of read(file).split('\n')) if (pattern.test(line)) found.push(`${file}: ${line.trim()}`);
  }
  return found;
}

const c = /\.[ch]$/;
const js = /\.m?js$/;

test('each third-party header is included by one room', () => {
  const rooms = [
    [/#include\s*[<"]xnnpack\.h[>"]/, /^core\/src\/backend\/xnn\.h$/],
    [/#include\s*[<"]stb_image\.h[>"]/, /^core\/src\/image\//],
    [/#include\s*[<"]pb(_decode|_common)?\.h[>"]/, /^core\/src\/onnx\//],
    [/#include\s*[<"]yyjson\.h[>"]/, /^core\/src\/base\/json\.h$/],
  ];
  for (const [include, room] of rooms) {
    const including = occurrences(c, include).map((line) => line.split(':')[0]);
    assert.ok(including.length > 0, `nobody includes ${include}`);
    assert.deepEqual(including.filter((file) => !room.test(file)), []);
  }
});

test('the core knows no wasm, no file, no clock and no stdout', () => {
  assert.deepEqual(occurrences(/^core\/.*\.[ch]$/, /#include\s*<(emscripten|time\.h|unistd\.h|pthread\.h|sys\/)/), []);
  assert.deepEqual(occurrences(/^core\/.*\.[ch]$/, /\b(printf|puts|fopen|getenv|abort|exit)\s*\(/), []);
});

test("the core's rooms look down only", () => {
  const forbidden = [
    ['base', /#include "(image|onnx|graph|ops|backend|nac|profile)\//],
    ['image', /#include "(onnx|graph|ops|backend|nac|profile)\//],
    ['onnx', /#include "(image|graph|backend|nac|profile)\//],
    ['ops', /#include "(image|backend|nac|profile)\//],
    ['backend', /#include "(image|nac|profile)\//],
    ['nac', /#include "(image|onnx|graph|ops|backend)\//],
    ['profile', /#include "(image|onnx|graph|ops|backend)\//],
  ];
  for (const [room, include] of forbidden) assert.deepEqual(occurrences(new RegExp(`^core/src/${room}/`), include), []);
});

test('all memory of the core comes through base/memory.c', () => {
  const direct = occurrences(/^core\/src\/.*\.[ch]$/, /[^_\w](malloc|calloc|realloc|free)\s*\(/);
  assert.deepEqual(direct.filter((line) => !/^core\/src\/base\/memory\.c/.test(line)), []);
});

test('JavaScript imports point down only', () => {
  assert.deepEqual(occurrences(/^wasm\/js\/.*\.js$/, /from '(\.\.\/)+(cli|web|tests|bench)\//), []);
  assert.deepEqual(occurrences(/^web\/.*\.js$/, /from '(\.\.\/)+(wasm\/(?!js\/)|core|tests|bench)\//), []);
});

/** Modules that come with one before it can run, itself among them. */
function comeWith(file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, name] of read(file).matchAll(/^(?:import|export) .*from '(\.[^']+)';$/gm)) comeWith(path.posix.join(path.posix.dirname(file), name), found);
  return found;
}

test('the package comes with what a worker is loaded by, and a worker with what a score is made of', () => {
  const early = (entry) => [...comeWith(`wasm/js/${entry}.js`)].map((file) => path.posix.relative('wasm/js', file));
  const forWorkers = /^(engine|runner|result|explain)\b/;
  const forProfiles = /^(build|collector|states|subset|synthetic|tune|judge|workbench|evaluate|inspect)\b/;
  for (const entry of ['index', 'node']) {
    assert.ok(early(entry).includes('detector.js'));
    assert.deepEqual(early(entry).filter((file) => forWorkers.test(file) || forProfiles.test(file)), [], entry);
  }
  for (const entry of ['worker-browser', 'worker-node']) {
    assert.ok(early(entry).includes('engine/heap.js'));
    assert.deepEqual(early(entry).filter((file) => forProfiles.test(file)), [], entry);
  }
});

test('only the engine sees the heap', () => {
  const peeking = occurrences(/^(wasm\/(js|cli)|web)\/.*\.js$/, /\bHEAP(U8|F32|32)\b|\.memory\.buffer/);
  assert.deepEqual(peeking.filter((line) => !/^wasm\/js\/engine/.test(line)), []);
});

test('no path of one machine, no registry host, no unfinished business', () => {
  const text = /\.(c|h|js|mjs|ts|py|json|md|txt|cmake|html|css|yml)$|^\.ci\/run$|CMakeLists\.txt$/;
  assert.deepEqual(occurrences(text, /(^|[\s'"=(])\/(work|root|home)\/\w/), []);
  assert.deepEqual(occurrences(text, /registry\.npmjs\.org|deb\.debian\.org|snapshot\.debian/), []);
  assert.deepEqual(occurrences(new RegExp(`${c.source}|${js.source}`), /\b(TODO|FIXME|XXX)\b/), []);
});
