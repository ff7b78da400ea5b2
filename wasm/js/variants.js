// @ts-check
/**
 * Which of the two binaries this machine can run. They are one source built twice: an engine without relaxed SIMD (Safari,
 * Node 20 without a flag) refuses a whole module that holds one such instruction, so the choice is made before the download.
 */
import { NacError } from './error.js';

/** @typedef {'simd' | 'relaxed'} Variant */

// (module (func (result v128) …)) up to the code section's content.
const HEAD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10];
const SPLAT = [65, 0, 253, 15]; // i32.const 0; i8x16.splat
const PROBES = {
  simd: Uint8Array.from([...HEAD, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]), // i8x16.popcnt
  relaxed: Uint8Array.from([...HEAD, 19, 1, 17, 0, ...SPLAT, ...SPLAT, ...SPLAT, 253, 133, 2, 11]), // f32x4.relaxed_madd
};

/** @param {Variant} variant */
export function supports(variant) {
  return typeof WebAssembly === 'object' && WebAssembly.validate(PROBES[variant]);
}

/**
 * @param {Variant | 'auto'} [asked]
 * @returns {Variant}
 */
export function chooseVariant(asked = 'auto') {
  if (asked !== 'auto' && asked !== 'simd' && asked !== 'relaxed')
    throw new NacError('INVALID_ARGUMENT', `"${asked}" is no variant: simd, relaxed and auto are`);
  if (!supports('simd'))
    throw new NacError('NO_SIMD', 'this browser has no WebAssembly SIMD: Chrome 91, Firefox 89, Safari 16.4 or Node 16.4 and newer have it');
  if (asked === 'relaxed' && !supports('relaxed'))
    throw new NacError('NO_SIMD', 'relaxed SIMD was asked for, but is not here: use the variant simd or auto');
  if (asked !== 'auto') return asked;
  return supports('relaxed') ? 'relaxed' : 'simd';
}
