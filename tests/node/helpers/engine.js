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

/**
 * The binary with less memory to grow into: the most that its memory section allows is written over.
 * @param {number} bytes
 */
export function moduleOfMemory(bytes) {
  const file = new Uint8Array(readFileSync(new URL('../../../dist/nac-simd.wasm', import.meta.url)));
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = file[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  while (file[at] !== 5) {
    ++at;
    const size = number();
    at += size;
  }
  ++at;
  number(); // size of the section
  if (number() !== 1 || number() !== 1) throw new Error('one memory with a maximum is expected');
  number(); // pages to begin with
  const start = at;
  number();
  let pages = Math.ceil(bytes / 65536);
  for (let i = start; i < at; ++i, pages >>>= 7) file[i] = (pages & 127) | (i < at - 1 ? 128 : 0);
  return new WebAssembly.Module(file);
}
