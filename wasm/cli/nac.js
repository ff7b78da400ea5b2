#!/usr/bin/env node
// @ts-check
/**
 * nac - is this image one that the network knows? One file per sub-command; here are the way to them and the way out.
 *
 * Exit codes: 0 fine, 1 a verdict that fails (--fail-over), 2 usage, 3 bad input, 130 interrupted, 70 a fault in nac itself.
 */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { NacError } from '../js/error.js';
import { UsageError, helpOf, parseCommand } from './shared/args.js';
import { makeTerminal } from './shared/terminal.js';

/** @type {Record<string, () => Promise<import('./shared/args.js').Command>>} */
const COMMANDS = {
  score: () => import('./score.js'),
  states: () => import('./states.js'),
  profile: () => import('./profile.js'),
  merge: () => import('./merge.js'),
  tune: () => import('./tune.js'),
  eval: () => import('./eval.js'),
  compare: () => import('./compare.js'),
  info: () => import('./info.js'),
  serve: () => import('./serve.js'),
};

const CODES = { usage: 2, input: 3, fault: 70, interrupted: 130 };

async function overview() {
  const lines = ['nac COMMAND [options]', ''];
  for (const [name, load] of Object.entries(COMMANDS)) lines.push(`  ${name.padEnd(9)}${(await load()).summary}`);
  return [...lines, '', 'nac COMMAND --help says more.', ''].join('\n');
}

/**
 * @param {string[]} argv without node and the script
 * @returns {Promise<number>} exit code
 */
export async function main(argv) {
  const interrupt = new AbortController();
  const onInterrupt = () => {
    // A second Ctrl-C is not caught.
    process.removeListener('SIGINT', onInterrupt);
    interrupt.abort(new DOMException('interrupted', 'AbortError'));
  };
  process.on('SIGINT', onInterrupt);
  const terminal = makeTerminal();
  try {
    const [name, ...rest] = argv;
    if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
      process.stdout.write(await overview());
      return name === undefined ? CODES.usage : 0;
    }
    if (!Object.hasOwn(COMMANDS, name)) throw new UsageError(`"${name}" is no command: ${Object.keys(COMMANDS).join(', ')} are`);
    const command = await COMMANDS[name]();
    if (rest.includes('--help') || rest.includes('-h')) {
      process.stdout.write(helpOf(command));
      return 0;
    }
    const parsed = parseCommand(command, rest);
    return await command.run(parsed, { terminal, signal: interrupt.signal, argv });
  } catch (error) {
    terminal.endProgress();
    return report(error, interrupt.signal.aborted, terminal);
  } finally {
    process.removeListener('SIGINT', onInterrupt);
  }
}

/**
 * @param {any} error
 * @param {boolean} interrupted
 * @param {import('./shared/terminal.js').Terminal} terminal
 */
function report(error, interrupted, terminal) {
  if (interrupted) {
    terminal.log('interrupted: nothing has been written');
    return CODES.interrupted;
  }
  if (error instanceof UsageError) {
    terminal.log(`nac: ${error.message}`);
    return CODES.usage;
  }
  if (error instanceof NacError && error.code !== 'INTERNAL') {
    terminal.log(`nac: ${error.message}`);
    return CODES.input;
  }
  terminal.log(`nac: this should not have happened, please report it: ${error?.stack ?? error}`);
  return CODES.fault;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  // `nac score … | head` closes the pipe early; that is no fault.
  process.stdout.on('error', (error) => {
    if (/** @type {any} */ (error).code !== 'EPIPE') throw error;
    process.exit(0);
  });
  process.exitCode = await main(process.argv.slice(2));
}
