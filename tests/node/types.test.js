// The JSDoc types, checked strictly, each file with the library of the place it runs in: nothing of the DOM in Node's files
// or in a worker's. Also the declarations that the package ships.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

for (const place of ['dom', 'webworker', 'node'])
  test(`types hold: ${place}`, () => {
    const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
    const { status, stdout, error } = spawnSync(process.execPath, [tsc, '-p', path.join(root, `tests/types/${place}.json`)], { cwd: root, encoding: 'utf8' });
    assert.equal(status, 0, error?.message ?? stdout);
  });
