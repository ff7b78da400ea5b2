// npm run build: dist/nac-simd.wasm and dist/nac-relaxed.wasm, and the page when there is one.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';
import { needDependencies } from './dependencies.js';
import { ninja, program, root, run, say, SetupError } from './shell.js';
import { setUp } from './setup.js';
import { clang, VARIANTS } from './xnnpack.js';

// What a visitor of a page downloads.
const LARGEST_BROTLI = 250 * 1024;

/** Configures build/<preset>; cheap when nothing changed. */
export async function configure(preset) {
  // The presets name Debian's clang-19; elsewhere the command is called clang.
  const options = preset === 'asan' || preset === 'fuzz' ? [`-DCMAKE_C_COMPILER=${clang()}`] : [];
  if (!preset.startsWith('wasm-') && !VARIANTS.includes('native')) options.push('-DNAC_XNNPACK=OFF');
  await run(`Configuring ${preset}`, ['cmake', '--preset', preset, ...options], { cwd: root });
}

export async function buildWasm() {
  await setUp(['simd', 'relaxed']);
  for (const variant of ['simd', 'relaxed']) {
    say(`Building nac-${variant}.wasm`);
    await configure(`wasm-${variant}`);
    await ninja(`nac-${variant}.wasm`, path.join(root, `build/wasm-${variant}`), ['nac_wasm']);
    const bytes = fs.readFileSync(path.join(root, `dist/nac-${variant}.wasm`));
    const packed = zlib.brotliCompressSync(bytes).length;
    say(`  ${bytes.length} bytes, ${packed} with brotli`);
    if (packed > LARGEST_BROTLI) throw new SetupError(`nac-${variant}.wasm has ${packed} bytes with brotli; the limit is ${LARGEST_BROTLI}.`);
  }
}

export async function build() {
  await buildWasm();
  const page = path.join(root, 'web/build.js');
  if (fs.existsSync(page)) {
    await needDependencies(); // its bundler
    say('Building the page');
    await run('Building the page', ['node', page], { cwd: root });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  program(async () => {
    await build();
    say('Built: see dist/');
  });
}
