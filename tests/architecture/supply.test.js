// What is fetched is pinned: exact versions, and a hash for every file that a lock or a list names.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

const read = (file) => JSON.parse(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'));
const FOLDERS = ['', 'wasm/toolchain/node/', 'tests/browser/consumer/', 'bench/peers/'];

test('every package of npm has an exact version and a SHA-512', () => {
  for (const folder of FOLDERS) {
    const { dependencies, devDependencies } = read(`${folder}package.json`);
    const { packages } = read(`${folder}package-lock.json`);
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      assert.match(version, /^\d+\.\d+\.\d+$/, `${folder}package.json: ${name}`);
      assert.equal(packages[`node_modules/${name}`].version, version, `${folder}: ${name}`);
    }
    const fetched = Object.entries(packages).filter(([name]) => name !== '');
    assert.ok(fetched.length > 0);
    assert.deepEqual(fetched.filter(([, { integrity }]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? '')).map(([name]) => folder + name), []);
  }
});

test("every source in C has its files' SHA-256 and an address of one commit or release", () => {
  const { sources } = read('wasm/toolchain/sources.json');
  assert.ok(sources.length > 5);
  for (const { name, treeSha256, upstream } of sources) {
    assert.match(treeSha256, /^[0-9a-f]{64}$/, name);
    assert.match(upstream, /^https:\/\/github\.com\/.*\/([0-9a-f]{40}|refs\/tags\/[\w.-]+)\.tar\.gz$/, name);
  }
});
