// Commands the build needs, and how they get on the machine: apt-get on Debian and its relatives, a
// sentence elsewhere.
import { ask, run, say, SetupError, which } from './shell.js';

// Commands by purpose, each with the Debian package that has it. A package without a command is asked for
// only where dpkg can say whether it is there.
const NEEDS = {
  build: { cmake: 'cmake', ninja: 'ninja-build', xz: 'xz-utils', tar: 'tar' },
  native: { gcc: 'gcc', 'g++': 'g++' },
  asan: { 'clang-19': 'clang-19', 'clang++-19': 'clang-19', 'g++': 'g++' }, // g++ has the C++ headers
  lint: { 'clang-tidy-19': 'clang-tidy-19', 'clang-19': 'clang-19' }, // the latter has the headers of the compiler
  browser: { chromium: 'chromium' },
  emscripten: { 'clang-19': 'clang-19', 'wasm-ld-19': 'lld-19', 'llvm-ar-19': 'llvm-19', python3: 'python3' },
};
const LIBRARIES = {
  native: ['libc6-dev'],
  asan: ['libclang-rt-19-dev'],
};

export const hasApt = () => which('apt-get') !== null && which('dpkg-query') !== null;

function installed(name) {
  return ask('dpkg-query', ['-W', '-f', '${db:Status-Status}', name], { stdio: ['ignore', 'pipe', 'ignore'] }) === 'installed';
}

/** Installs what is missing for these purposes (keys of NEEDS). */
export async function needPackages(purposes) {
  const missing = new Set();
  for (const purpose of purposes) {
    for (const [command, name] of Object.entries(NEEDS[purpose])) {
      // Elsewhere than on Debian the commands carry no version.
      if (!which(command) && (hasApt() || !which(command.replace(/-19$/, '')))) missing.add(name);
    }
    for (const name of LIBRARIES[purpose] ?? []) if (hasApt() && !installed(name)) missing.add(name);
  }
  if (missing.size > 0) await install([...missing]);
  const cmake = /version (\d+)\.(\d+)/.exec(ask('cmake', ['--version']) ?? '');
  if (!cmake || Number(cmake[1]) * 1000 + Number(cmake[2]) < 3025) {
    throw new SetupError(`CMake ${cmake ? `${cmake[1]}.${cmake[2]}` : ''} is too old: 3.25 or later is needed.`);
  }
}

async function install(names) {
  const list = names.join(' ');
  if (!hasApt()) throw new SetupError(`Missing: ${list} (Debian's names). Install them with this machine's package manager and run again.`);
  const root = process.getuid() === 0;
  if (!root && !which('sudo')) {
    throw new SetupError(`Missing: ${list}. Run \`apt-get install ${list}\` as root, then run this again.`);
  }
  const apt = (...args) => [
    ...(root ? [] : ['sudo']), 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-o', 'DPkg::Lock::Timeout=300', ...args,
  ];
  say(`Installing ${list}`);
  const command = apt('install', '-y', '--no-install-recommends', ...names);
  try {
    await run('apt-get install', command, { input: true });
  } catch {
    // The usual reason: package lists that are empty (a fresh container) or older than the mirror.
    say('Refreshing the package lists');
    await run('apt-get update', apt('update'), { input: true });
    await run('apt-get install', command, { input: true });
  }
}
