// Emscripten 3.1.58 or later: the one on PATH (an activated emsdk), or a private one from Debian's package.
//
// The Debian road, for Debian 12, whose own emscripten (3.1.6) is too old for relaxed SIMD and for Node 20:
//   - Debian 13's package is scripts, headers and prebuilt libraries for any machine; it is unpacked, not
//     installed, and without the library variants that are not used here (1.6 GB -> 0.3 GB);
//   - LLVM 19 comes from the machine's own release;
//   - Binaryen and acorn come from npm, pinned by wasm/toolchain/node/package-lock.json. npm's Binaryen has
//     no wasm-emscripten-finalize; with -sWASM_BIGINT none is needed.
import fs from 'node:fs';
import path from 'node:path';
import { Debian, hasDebian } from './debian.js';
import { needPackages } from './packages.js';
import { suite } from './sources.js';
import { ask, cache, root, run, say, SetupError, which, writeIfChanged } from './shell.js';

const OLDEST = [3, 1, 58];
const LLVM = '/usr/lib/llvm-19/bin';
// Bumped when what is unpacked changes.
const STAMP = 'unpacked-1';
const LEFT_OUT = [
  'share/man', 'share/doc', 'share/emscripten/test', 'share/emscripten/docs', 'share/emscripten/media',
  ...['lto', 'pic', 'lto-pic', 'libGL-emu*', 'libGL-full*', 'libGL-ofb*', 'libGL-webgl2*', 'libwebgpu*', '*-mt*', '*-ww*', '*asan*', 'libwasmfs*', 'libembind*']
    .map((name) => `share/emscripten/cache/sysroot/lib/wasm32-emscripten/${name}`),
].map((name) => `--exclude=./usr/${name}`);

const chosen = path.join(cache, 'toolchain/emscripten.txt');

/** Makes an Emscripten available and writes its folder where wasm/toolchain/emscripten.cmake reads it. */
export async function needEmscripten() {
  const folder = onPath() ?? await privateOne();
  writeIfChanged(chosen, `${folder}\n`);
  return emccVersion(path.join(folder, 'emcc'));
}

function emccVersion(emcc) {
  const version = /(\d+)\.(\d+)\.(\d+)/.exec(ask(emcc, ['--version']) ?? '');
  if (!version) throw new SetupError(`${emcc} does not run. Remove ${path.dirname(chosen)} and try again.`);
  return version[0];
}

function onPath() {
  if (!which('emcc')) return null;
  const version = emccVersion('emcc');
  const parts = version.split('.').map(Number);
  const order = parts.map((part, i) => part - OLDEST[i]).find((difference) => difference !== 0) ?? 0;
  if (order < 0) {
    say(`emcc on PATH is ${version}; ${OLDEST.join('.')} or later is needed, so a private one is used`);
    return null;
  }
  const folder = ask('em-config', ['EMSCRIPTEN_ROOT'])?.trim();
  return folder && fs.existsSync(path.join(folder, 'emcc')) ? folder : path.dirname(fs.realpathSync(which('emcc')));
}

async function privateOne() {
  if (!hasDebian()) {
    throw new SetupError(`Emscripten ${OLDEST.join('.')} or later is needed: install and activate an emsdk, then run this again.`);
  }
  await needPackages(['emscripten']);
  const home = path.join(fs.realpathSync(cache), 'toolchain');
  const npm = await needNpm(home);
  const emscripten = await needPackage(home);
  // Found by emcc beside itself, so that nothing has to be set in the environment.
  writeIfChanged(path.join(emscripten, '.emscripten'), [
    `NODE_JS = '${process.execPath}'`,
    `LLVM_ROOT = '${LLVM}'`,
    `BINARYEN_ROOT = '${path.join(npm, 'binaryen')}'`,
    `EMSCRIPTEN_ROOT = '${emscripten}'`,
    `CACHE = '${path.join(emscripten, 'cache')}'`,
    '',
  ].join('\n'));
  // Its scripts are CommonJS; the nearest package.json would else be this repository's, which says "module".
  writeIfChanged(path.join(emscripten, 'package.json'), '{ "type": "commonjs" }\n');
  const modules = path.join(emscripten, 'node_modules');
  fs.rmSync(modules, { recursive: true, force: true });
  fs.symlinkSync(npm, modules);
  return emscripten;
}

async function needPackage(home) {
  const target = path.join(home, 'emscripten');
  const emscripten = path.join(target, 'usr/share/emscripten');
  if (fs.existsSync(path.join(target, STAMP))) return emscripten;
  const debian = new Debian(suite);
  await debian.update();
  const archive = path.join(cache, 'downloads/emscripten.deb');
  if (!fs.existsSync(archive)) {
    say('Fetching Emscripten (237 MB)');
    await debian.fetch(debian.binary('emscripten'), archive);
  }
  say('Unpacking Emscripten');
  const part = `${target}.part`;
  for (const old of [part, target]) fs.rmSync(old, { recursive: true, force: true });
  fs.mkdirSync(part, { recursive: true });
  await run('Unpacking Emscripten', ['bash', '-c', 'set -o pipefail; dpkg-deb --fsys-tarfile "$0" | tar -x -C "$1" "${@:2}"', archive, part, ...LEFT_OUT]);
  fs.writeFileSync(path.join(part, STAMP), '');
  fs.renameSync(part, target);
  fs.rmSync(archive);
  return emscripten;
}

async function needNpm(home) {
  const target = path.join(home, 'node');
  const lockText = fs.readFileSync(path.join(root, 'wasm/toolchain/node/package-lock.json'), 'utf8');
  const stamp = path.join(target, 'installed-lock.json');
  if (!fs.existsSync(stamp) || fs.readFileSync(stamp, 'utf8') !== lockText) {
    say('Fetching Binaryen and acorn from npm');
    fs.mkdirSync(target, { recursive: true });
    for (const name of ['package.json', 'package-lock.json']) {
      fs.copyFileSync(path.join(root, 'wasm/toolchain/node', name), path.join(target, name));
    }
    await run('npm ci', ['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: target });
    fs.writeFileSync(stamp, lockText);
  }
  return path.join(target, 'node_modules');
}
