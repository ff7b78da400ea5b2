// An engine for tests, from the binary that was built.
import { readFileSync } from 'node:fs';
import { Engine } from '../../../wasm/js/engine.js';

export const MODULE = new WebAssembly.Module(readFileSync(new URL('../../../dist/nac-simd.wasm', import.meta.url)));
export const makeEngine = () => Engine.create(MODULE);

/** The code of the NacError that `body` throws. */
export function codeOf(body) {
  try {
    body();
  } catch (error) {
    return error.code;
  }
  return 'no error';
}
