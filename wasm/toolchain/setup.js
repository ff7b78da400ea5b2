// npm run setup [-- VARIANT...]: all that a build needs and the machine lacks. Says on stderr what it does;
// does nothing twice; goes on where an interrupted run stopped. Everything private lies in .cache/ (or in
// $NAC_CACHE, which .cache then points to).
import { fileURLToPath } from 'node:url';
import { openCache, withLock } from './cache.js';
import { needEmscripten } from './emscripten.js';
import { needPackages } from './packages.js';
import { program, say, SetupError } from './shell.js';
import { needSources } from './sources.js';
import { needXnnpack, VARIANTS } from './xnnpack.js';

/**
 * @param {string[]} variants    of XNNPACK, see xnnpack/CMakeLists.txt
 * @param {string[]} [compilers] 'native' and 'asan' where those variants' compilers are needed all the same
 */
export async function setUp(variants, compilers = []) {
  const unknown = variants.find((variant) => !VARIANTS.includes(variant));
  if (unknown) throw new SetupError(`Unknown variant "${unknown}": it must be one of ${VARIANTS.join(', ')}.`);
  openCache();
  await withLock(async () => {
    const native = ['native', 'asan'].filter((name) => variants.includes(name) || compilers.includes(name));
    await needPackages(['build', ...native]);
    await needSources();
    const wasm = variants.some((variant) => variant === 'simd' || variant === 'relaxed');
    const emcc = wasm ? await needEmscripten() : undefined;
    for (const variant of variants) await needXnnpack(variant, emcc);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  program(async (args) => {
    await setUp(args.length > 0 ? args : VARIANTS);
    say('Set up');
  });
}
