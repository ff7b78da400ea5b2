// XNNPACK as a static library: built once a variant, kept in .cache/xnnpack/<variant>, rebuilt when the
// sources, our build files or the compiler change. An interrupted build goes on where it stopped.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { ask, cache, ninja, root, run, say, which } from './shell.js';
import { sourcesKey } from './sources.js';

// Elsewhere than on x86-64 the native builds have the reference backend only.
export const VARIANTS = ['simd', 'relaxed', ...(process.arch === 'x64' ? ['native', 'asan'] : [])];
const project = path.join(root, 'wasm/toolchain/xnnpack');

/** Clang 19 by Debian's name, or whatever is called clang elsewhere. */
export const clang = () => (which('clang-19') ? 'clang-19' : 'clang');

function compilers(variant) {
  if (variant === 'native') return ['gcc', 'g++'];
  return variant === 'asan' ? [clang(), clang().replace('clang', 'clang++')] : null;
}

/**
 * @param {string} variant    one of VARIANTS
 * @param {string} [emcc]     Emscripten's version, for the wasm variants
 */
export async function needXnnpack(variant, emcc) {
  const native = compilers(variant);
  const folder = path.join(cache, 'xnnpack', variant);
  const archive = path.join(folder, 'libXNNPACK.a');
  const keyFile = path.join(folder, 'key');
  const key = libraryKey(variant, native ? ask(native[0], ['--version']) : emcc);
  const built = fs.existsSync(keyFile) && fs.readFileSync(keyFile, 'utf8') === key;
  if (built && fs.existsSync(archive)) return;

  say(`Building XNNPACK (${variant}): some minutes, once`);
  const build = path.join(folder, 'build');
  const started = path.join(build, 'nac-key');
  // Objects of another compiler or cache must not be mixed in.
  if (fs.existsSync(build) && !(fs.existsSync(started) && fs.readFileSync(started, 'utf8') === key)) {
    fs.rmSync(build, { recursive: true });
  }
  await run('Configuring XNNPACK', [
    'cmake', '-G', 'Ninja', '-S', project, '-B', build, `-DNAC_VARIANT=${variant}`,
    `-DNAC_SOURCES=${path.join(fs.realpathSync(cache), 'src')}`,
    ...(native ? [`-DCMAKE_C_COMPILER=${native[0]}`, `-DCMAKE_CXX_COMPILER=${native[1]}`]
      : [`-DCMAKE_TOOLCHAIN_FILE=${path.join(root, 'wasm/toolchain/emscripten.cmake')}`]),
  ]);
  fs.writeFileSync(started, key);
  await ninja(`XNNPACK (${variant})`, build);
  fs.rmSync(keyFile, { force: true });
  fs.copyFileSync(path.join(build, 'libXNNPACK.a'), archive);
  fs.writeFileSync(keyFile, key);
  fs.rmSync(build, { recursive: true });
}

/** What the library depends on, hashed. */
export function libraryKey(variant, compiler) {
  const hash = crypto.createHash('sha256');
  hash.update(JSON.stringify([variant, compiler, process.arch, sourcesKey(['xnnpack', 'pthreadpool', 'fxdiv', 'fp16'])]));
  const files = fs.readdirSync(project, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const file of files.map((entry) => path.join(entry.parentPath ?? entry.path, entry.name)).sort()) {
    // A better comment is no reason to build for minutes.
    hash.update(fs.readFileSync(file, 'utf8').replace(file.endsWith('.txt') ? /^\s*#.*\n/gm : '', ''));
  }
  return hash.digest('hex');
}
