// Progress lines, child processes and files: what the other scripts here share. Node's own modules only.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const cache = path.join(root, '.cache');
export const jobs = Number(process.env.NAC_JOBS) || os.availableParallelism();

const start = performance.now();

/** A failure the user can act on: its message is all that is printed. */
export class SetupError extends Error {}

/** One progress line on stderr, with the time since the start. */
export function say(text) {
  const seconds = Math.round((performance.now() - start) / 1000);
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  process.stderr.write(`[${clock.padStart(5)}] ${text}\n`);
}

/** Runs main() and turns an error into one line and an exit code. */
export async function program(main) {
  try {
    process.exitCode = (await main(process.argv.slice(2))) ?? 0;
  } catch (error) {
    say(error instanceof SetupError ? error.message : error.stack);
    process.exitCode = 1;
  }
}

/** The full path of a command, or null. */
export function which(command) {
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    const file = path.join(folder, command);
    try {
      fs.accessSync(file, fs.constants.X_OK);
      if (fs.statSync(file).isFile()) return file;
    } catch {
      // not here
    }
  }
  return null;
}

/** Output of a short command, or null when it fails. */
export function ask(command, args, options = {}) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20, ...options });
  return status === 0 ? stdout : null;
}

/**
 * Runs a command quietly: its output is kept, and shown only when it fails.
 * @param {string} what  for the messages
 * @param {string[]} command
 * @param {{cwd?: string, env?: object, input?: boolean, onLine?: (line: string) => void}} [options]
 * @returns {Promise<string>} what it printed
 */
export function run(what, command, { cwd, env, input = false, onLine } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0], command.slice(1), {
      cwd, env: { ...process.env, ...env }, stdio: [input ? 'inherit' : 'ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let rest = '';
    const take = (chunk) => {
      output += chunk;
      if (!onLine) return;
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      lines.forEach(onLine);
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', (error) => reject(new SetupError(`${what}: cannot start ${command[0]} (${error.message})`)));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(output);
      const lines = output.trimEnd().split('\n').filter((line) => !/^\[\d+\/\d+\] /.test(line));
      const tail = lines.slice(-60).join('\n');
      reject(Object.assign(new SetupError(`${what} failed (${signal ?? `exit code ${code}`}): ${command.join(' ')}\n${tail}`), { output }));
    });
  });
}

/** A ninja build, with a progress line every ten seconds. Goes on after an error as far as it can. */
export async function ninja(what, folder, targets = []) {
  let last = performance.now();
  await run(what, ['cmake', '--build', folder, '--parallel', String(jobs), ...(targets.length ? ['--target', ...targets] : []), '--', '-k', '0'], {
    onLine(line) {
      const step = /^\[(\d+)\/(\d+)\]/.exec(line);
      if (!step || performance.now() - last < 10000) return;
      last = performance.now();
      say(`  ${what}: ${step[1]} of ${step[2]}`);
    },
  });
}

/** Writes only when the content differs, so that time stamps say something. */
export function writeIfChanged(file, text) {
  if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === text) return;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}
