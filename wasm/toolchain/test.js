// npm test [-- STEP...]: set-up, builds and every test. The last line is "N passed, N failed", summed over
// all; the exit code is 0 only when something passed and nothing failed.
// STEP: native, asan, wasm-simd, wasm-relaxed (C tests by preset), lint, audit, node, browser. Default: all.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { audit } from './audit.js';
import { build, configure } from './build.js';
import { needDependencies } from './dependencies.js';
import { lint } from './lint.js';
import { jobs, ninja, program, root, say, SetupError } from './shell.js';
import { setUp } from './setup.js';
import { VARIANTS } from './xnnpack.js';

const PRESETS = ['native', 'asan', 'wasm-simd', 'wasm-relaxed'];
// Test files by step; the browser's are apart because they want a Chromium.
const FOLDERS = { node: ['tests/node', 'tests/architecture'], browser: ['tests/browser'] };
const OTHERS = { lint, audit };
const STEPS = [...PRESETS, ...Object.keys(OTHERS), ...Object.keys(FOLDERS)];

program(async (args) => {
  const steps = args.length > 0 ? args : STEPS;
  const unknown = steps.find((step) => !STEPS.includes(step));
  if (unknown) throw new SetupError(`Unknown step "${unknown}": it must be one of ${STEPS.join(', ')}.`);
  // The analysis reads what the asan preset would compile.
  const wanted = steps.map((step) => (step === 'lint' ? 'asan' : step.replace('wasm-', '')));
  await setUp(VARIANTS.filter((variant) => wanted.includes(variant)), wanted);

  const sum = { passed: 0, failed: 0 };
  for (const step of steps) {
    let count;
    try {
      count = FOLDERS[step] ? await testNode(step) : await (OTHERS[step]?.() ?? testPreset(step));
    } catch (error) {
      // A step that cannot run is one failure.
      say(error instanceof SetupError ? error.message : error.stack);
      count = { passed: 0, failed: 1 };
    }
    say(`${step}: ${count.passed} passed, ${count.failed} failed`);
    sum.passed += count.passed;
    sum.failed += count.failed;
  }
  console.log(`${sum.passed} passed, ${sum.failed} failed`);
  return sum.failed === 0 && sum.passed > 0 ? 0 : 1;
});

async function testPreset(preset) {
  say(`Building ${preset}`);
  await configure(preset);
  let broken = 0;
  try {
    await ninja(preset, path.join(root, 'build', preset));
  } catch (error) {
    // One failure, and another for each test program that isn't there. What the rest says is worth knowing.
    say(error.message);
    broken = 1;
  }
  say(`Testing ${preset}`);
  const { stdout } = spawnSync('ctest', ['--test-dir', `build/${preset}`, '-V', '-j', String(jobs)], {
    cwd: root, encoding: 'utf8', maxBuffer: 1 << 28,
    env: { ...process.env, UBSAN_OPTIONS: 'print_stacktrace=1' },
  });
  const { passed, failed } = countCtest(stdout ?? '');
  return { passed, failed: failed + broken };
}

// Every test program ends with its own count ("7: 12 passed, 0 failed"); one that fails without (a crash, a
// time-out, a program that isn't there) is one failure. The output of those that fail is shown.
function countCtest(output) {
  const programs = new Map();
  const of = (id) => programs.get(id) ?? programs.set(id, { lines: [], passed: 0, failed: 0 }).get(id);
  for (const line of output.split('\n')) {
    const printed = /^(\d+): (.*)$/.exec(line);
    if (printed) {
      const entry = of(printed[1]);
      entry.lines.push(printed[2]);
      const count = /^(\d+) passed, (\d+) failed$/.exec(printed[2].trim());
      if (count) Object.assign(entry, { passed: Number(count[1]), failed: Number(count[2]) });
    }
    const end = /^\s*\d+\/\d+ Test\s+#(\d+): (\S+) \.*\s*(.*?)\s+[\d.]+ sec/.exec(line);
    if (end) Object.assign(of(end[1]), { name: end[2], verdict: end[3] });
  }
  const sum = { passed: 0, failed: 0 };
  for (const { name, verdict, lines, passed, failed } of programs.values()) {
    const broken = verdict !== 'Passed';
    if (broken) process.stderr.write(`--- ${name}: ${verdict}\n${lines.join('\n')}\n`);
    sum.passed += passed;
    sum.failed += broken && failed === 0 ? 1 : failed;
  }
  return sum;
}

async function testNode(step) {
  const files = FOLDERS[step].flatMap((folder) => {
    const names = fs.existsSync(path.join(root, folder)) ? fs.readdirSync(path.join(root, folder)) : [];
    return names.filter((name) => name.endsWith('.test.js')).sort().map((name) => path.join(folder, name));
  });
  if (files.length === 0) return { passed: 0, failed: 0 };
  await needDependencies();
  await build();
  say(`Testing: ${FOLDERS[step].join(', ')}`);
  const tap = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'nac-test-')), 'node.tap');
  // Node 20 runs relaxed SIMD behind a flag, which test processes inherit; later versions know none.
  const flags = Number(process.versions.node.split('.')[0]) < 21 ? ['--experimental-wasm-relaxed-simd'] : [];
  const { status } = spawnSync(process.execPath, [
    ...flags, '--test', '--test-reporter=spec', '--test-reporter-destination=stderr',
    '--test-reporter=tap', `--test-reporter-destination=${tap}`, ...files,
  ], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  const text = fs.readFileSync(tap, 'utf8');
  fs.rmSync(path.dirname(tap), { recursive: true });
  const total = (name) => Number(new RegExp(`^# ${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  const failed = total('fail') + total('cancelled');
  return { passed: total('pass'), failed: failed === 0 && status !== 0 ? 1 : failed };
}
