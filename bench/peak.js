// The peak of this core in a variant's instruction set, by bench/peak.c (built when it is missing): GFLOP/s of multiply-adds that never wait for memory.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Best of `repeats` runs of about 20 ms; a multiply-add counts as two operations. */
export async function measurePeak(variant, repeats = 10) {
  const build = fileURLToPath(new URL(`../build/wasm-${variant}`, import.meta.url));
  const file = `${build}/bench/peak.wasm`;
  if (!existsSync(file)) execFileSync('cmake', ['--build', build, '--target', 'peak'], { stdio: ['ignore', 2, 2] });
  const { instance } = await WebAssembly.instantiate(readFileSync(file));
  const { run, multiply_adds } = instance.exports;
  const rounds = 5e6;
  let best = Infinity;
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    run(rounds);
    best = Math.min(best, performance.now() - start);
  }
  return (2 * multiply_adds() * rounds) / best / 1e6;
}
