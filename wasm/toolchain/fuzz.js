// npm run fuzz [-- SECONDS [NAME]]: every fuzz target of tests/fuzz for an equal share of SECONDS (default 60),
// under AddressSanitizer and UndefinedBehaviorSanitizer. What it learns is kept in .cache/fuzz/<name>; an
// input that breaks something is written to build/fuzz and ends the run.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { configure } from './build.js';
import { cache, ninja, program, root, say, SetupError } from './shell.js';
import { setUp } from './setup.js';
import { VARIANTS } from './xnnpack.js';

// Golden files are the best seeds: every feature of the formats is in one of them. fuzz_graph takes any bytes, a few hundred of them.
const SEEDS = { fuzz_image: 'tests/golden/image', fuzz_model: 'tests/golden/onnx', fuzz_profile: 'tests/fuzz/fuzz_profile_seeds' };
const LARGEST = { fuzz_graph: 512 };

program(async ([seconds = '60', only]) => {
  if (!(Number(seconds) > 0)) throw new SetupError(`SECONDS is "${seconds}"; it must be a number above 0.`);
  await setUp(VARIANTS.filter((variant) => variant === 'asan'), ['asan']);
  const folder = path.join(root, 'tests/fuzz');
  const targets = fs.readdirSync(folder).map((file) => path.parse(file))
    .filter(({ name, ext }) => ext === '.c' && name.startsWith('fuzz_') && (!only || name === `fuzz_${only}`))
    .map(({ name }) => name);
  if (targets.length === 0) throw new SetupError(`tests/fuzz has no ${only ? `fuzz_${only}.c` : 'target'}.`);
  say(`Building ${targets.join(', ')}`);
  await configure('fuzz');
  await ninja('fuzz', path.join(root, 'build/fuzz'), targets);
  for (const target of targets) {
    const corpus = path.join(cache, 'fuzz', target);
    fs.mkdirSync(corpus, { recursive: true });
    const seeds = SEEDS[target] && path.join(root, SEEDS[target]);
    const dictionary = path.join(folder, `${target}.dict`);
    const share = Math.max(1, Math.floor(Number(seconds) / targets.length));
    say(`${target}: ${share} s`);
    const { status } = spawnSync(path.join(root, 'build/fuzz/tests', target), [
      `-max_total_time=${share}`, `-max_len=${LARGEST[target] ?? 65536}`, '-rss_limit_mb=4096', '-timeout=20', '-print_final_stats=1', `-artifact_prefix=${root}/build/fuzz/`,
      ...(fs.existsSync(dictionary) ? [`-dict=${dictionary}`] : []), corpus, ...(seeds ? [seeds] : []),
    ], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    if (status !== 0) {
      say(`${target} found something: the input is in build/fuzz/`);
      return 1;
    }
  }
  say('Nothing found');
  return 0;
});
