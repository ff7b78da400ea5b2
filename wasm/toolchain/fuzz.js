// npm run fuzz [-- SECONDS [NAME]]: the fuzz targets of tests/fuzz for SECONDS (default 60) in all, as many at a time as there are
// cores, under AddressSanitizer and UndefinedBehaviorSanitizer. Goes on where the last run stopped: what was learnt is in
// .cache/fuzz/<target>, what was found in .cache/fuzz/<target>.found, and the table at the end counts all runs.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { configure } from './build.js';
import { cache, jobs, ninja, program, root, say, SetupError } from './shell.js';
import { setUp } from './setup.js';
import { VARIANTS } from './xnnpack.js';

// Golden files are the best seeds: every feature of the formats is in one of them. fuzz_graph takes any bytes, a few hundred of them.
const SEEDS = { fuzz_image: 'tests/golden/image', fuzz_model: 'tests/golden/onnx', fuzz_profile: 'tests/fuzz/fuzz_profile_seeds' };
const LARGEST = { fuzz_graph: 512 };
// A target is started anew this often (seconds), so that the record of a run that is killed is nearly right.
const STRETCH = 600;
// Findings that end a target's run: more of them are most often the same again.
const ENOUGH = 5;

const folder = path.join(root, 'tests/fuzz');
const home = path.join(cache, 'fuzz');
const recordFile = path.join(home, 'record.json');

program(async ([seconds = '60', only]) => {
  if (!(Number(seconds) > 0)) throw new SetupError(`SECONDS is "${seconds}"; it must be a number above 0.`);
  await setUp(VARIANTS.filter((variant) => variant === 'asan'), ['asan']);
  const names = fs.readdirSync(folder).map((file) => path.parse(file))
    .filter(({ name, ext }) => ext === '.c' && name.startsWith('fuzz_') && (!only || name === `fuzz_${only}`))
    .map(({ name }) => name);
  if (names.length === 0) throw new SetupError(`tests/fuzz has no ${only ? `fuzz_${only}.c` : 'target'}.`);
  say(`Building ${names.join(', ')}`);
  await configure('fuzz');
  await ninja('fuzz', path.join(root, 'build/fuzz'), names);

  const lanes = Math.min(jobs, names.length);
  const share = Math.max(1, Math.floor((Number(seconds) * lanes) / names.length));
  const targets = names.map((name) => new Target(name));
  const waiting = [...targets];
  process.on('SIGINT', () => waiting.splice(0)); // it reaches the fuzzers, too, which end and say how far they came
  await Promise.all(Array.from({ length: lanes }, async () => {
    for (let target = waiting.shift(); target; target = waiting.shift()) await target.run(share);
  }));
  console.log(table(targets));
  return targets.some(({ found }) => found.length > 0) ? 1 : 0;
});

class Target {
  /** @param {string} name */
  constructor(name) {
    this.name = name;
    this.corpus = path.join(home, name);
    this.findings = `${this.corpus}.found`;
    for (const needed of [this.corpus, this.findings]) fs.mkdirSync(needed, { recursive: true });
    this.executions = 0;
    this.coverage = this.features = '-';
  }

  /** Files that still break something. */
  get found() {
    return fs.readdirSync(this.findings);
  }

  /** @param {number} seconds */
  async run(seconds) {
    this.#tryAgain();
    const known = this.found.length;
    const end = performance.now() + 1000 * seconds;
    say(`${this.name}: ${seconds} s`);
    for (let left = seconds; left >= 1 && this.found.length < known + ENOUGH; left = Math.round((end - performance.now()) / 1000)) {
      const before = this.found.length;
      const ended = await this.#stretch(Math.min(left, STRETCH));
      // What breaks at once, a seed most likely, breaks every time.
      if (ended === 'interrupted' || (ended === 'broken' && this.found.length === before)) break;
    }
    say(`${this.name}: ${this.executions} executions, ${this.found.length - known} findings`);
  }

  /** What was found and is mended goes to what is learnt. */
  #tryAgain() {
    for (const file of this.found) {
      const { status } = spawnSync(this.#program, ['-timeout=60', '-rss_limit_mb=4096', path.join(this.findings, file)], { cwd: root, stdio: 'ignore' });
      if (status !== 0) continue;
      say(`${this.name}: ${file} breaks nothing any more`);
      fs.renameSync(path.join(this.findings, file), path.join(this.corpus, file));
    }
  }

  get #program() {
    return path.join(root, 'build/fuzz/tests', this.name);
  }

  /** One process. @param {number} seconds @returns {Promise<'done' | 'broken' | 'interrupted'>} */
  #stretch(seconds) {
    const seeds = SEEDS[this.name] && path.join(root, SEEDS[this.name]);
    const dictionary = path.join(folder, `${this.name}.dict`);
    // A minute, beyond which an input is a finding: other programs may want the cores, too.
    const child = spawn(this.#program, [
      `-max_total_time=${seconds}`, `-max_len=${LARGEST[this.name] ?? 65536}`, '-rss_limit_mb=4096', '-timeout=60', '-report_slow_units=60', '-print_final_stats=1',
      `-artifact_prefix=${this.findings}/`,
      ...(fs.existsSync(dictionary) ? [`-dict=${dictionary}`] : []), this.corpus, ...(seeds ? [seeds] : []),
    ], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
    const start = performance.now();
    const log = path.join(root, 'build/fuzz', `${this.name}.log`);
    fs.writeFileSync(log, '');
    let executions = 0;
    let rest = '';
    let interrupted = false;
    child.stderr.setEncoding('utf8').on('data', (text) => {
      fs.appendFileSync(log, text);
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const [, count, coverage, features] = /^#(\d+)\s.*cov: (\d+) ft: (\d+)/.exec(line) ?? [];
        if (count) [executions, this.coverage, this.features] = [Number(count), coverage, features];
        const finished = /^stat::number_of_executed_units:\s*(\d+)/.exec(line);
        if (finished) executions = Number(finished[1]);
        if (/^Test unit written to/.test(line) || /^SUMMARY: /.test(line)) say(`${this.name}: ${line} (all of it: ${path.relative(root, log)})`);
        interrupted ||= /run interrupted/.test(line);
      }
    });
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => {
        this.executions += executions;
        remember(this.name, executions, (performance.now() - start) / 1000);
        resolve(interrupted || signal !== null ? 'interrupted' : code === 0 ? 'done' : 'broken');
      });
    });
  }
}

/** @returns {Record<string, { executions: number, seconds: number }>} of all runs */
function record() {
  return fs.existsSync(recordFile) ? JSON.parse(fs.readFileSync(recordFile, 'utf8')) : {};
}

/** @param {string} name @param {number} executions @param {number} seconds */
function remember(name, executions, seconds) {
  const all = record();
  const before = all[name] ?? { executions: 0, seconds: 0 };
  all[name] = { executions: before.executions + executions, seconds: before.seconds + seconds };
  fs.writeFileSync(`${recordFile}.part`, `${JSON.stringify(all, null, 2)}\n`);
  fs.renameSync(`${recordFile}.part`, recordFile);
}

/** As SECURITY.md has it. @param {Target[]} targets */
function table(targets) {
  const all = record();
  const number = (value) => Math.round(value).toLocaleString('en').replaceAll(',', ' ');
  const rows = targets.map(({ name, executions, coverage, features, corpus, found }) => {
    const total = all[name] ?? { executions: 0, seconds: 0 };
    return [`\`${name}\``, number(executions), number(total.executions), (total.seconds / 3600).toFixed(2), coverage, features, number(fs.readdirSync(corpus).length), found.length || 'nothing'];
  });
  const head = ['target', 'executions', 'in all runs', 'hours in all', 'edges', 'features', 'kept inputs', 'findings open'];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}
