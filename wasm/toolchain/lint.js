// npm test -- lint: static analysis of the C of core/ and wasm/ by clang-tidy, with the checks of .clang-tidy.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { configure } from './build.js';
import { needPackages } from './packages.js';
import { jobs, root, say, which } from './shell.js';

// nanopb writes it.
const GENERATED = ['core/src/onnx/onnx.pb.c'];
// Of wasm/'s own file no native preset knows how it is compiled.
const INCLUDE = [`--extra-arg=-I${path.join(root, 'core/include')}`];

/** Every file is a test. The asan preset says how each is compiled, since its compiler is Clang. @returns {Promise<{ passed: number, failed: number }>} */
export async function lint() {
  await needPackages(['lint']);
  await configure('asan');
  const all = fs.readdirSync(path.join(root, 'core/src'), { recursive: true }).map((name) => `core/src/${name}`);
  const files = [...all, 'wasm/nac_wasm.c'].filter((file) => file.endsWith('.c') && !GENERATED.includes(file));
  const sum = { passed: 0, failed: 0 };
  const work = async () => {
    for (let file = files.shift(); file; file = files.shift()) {
      const findings = await analyse(file);
      if (findings) say(findings);
      ++sum[findings ? 'failed' : 'passed'];
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return sum;
}

/** What is wrong with one file, '' for nothing. @param {string} file @returns {Promise<string>} */
function analyse(file) {
  const tidy = which('clang-tidy-19') ? 'clang-tidy-19' : 'clang-tidy';
  return new Promise((resolve) => {
    const child = spawn(tidy, ['--quiet', '-p', 'build/asan', ...INCLUDE, file], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
    child.on('error', (error) => resolve(`${tidy}: ${error.message}`));
    // On stderr it counts the warnings of system headers.
    child.on('close', (code) => resolve(code === 0 ? '' : `${file}\n${output.stdout || output.stderr}`.trimEnd()));
  });
}
