// @ts-check
/** Arguments: node:util's parseArgs, with the values checked and errors in one line. */
import os from 'node:os';
import { parseArgs } from 'node:util';

/** A mistake in the command line: exit code 2. */
export class UsageError extends Error {}

/**
 * @typedef {{ type: 'string' | 'boolean', multiple?: boolean, short?: string }} Option
 * @typedef {{ values: Record<string, any>, paths: string[] }} Parsed
 * @typedef {{ terminal: import('./terminal.js').Terminal, signal: AbortSignal, argv: string[] }} Context
 * @typedef {object} Command
 * @property {string} summary one line for the overview
 * @property {string} help
 * @property {Record<string, Option>} options
 * @property {(parsed: Parsed, context: Context) => Promise<number>} run returns the exit code
 */

/** Of every command that runs a model. @type {Record<string, Option>} */
export const RUN_OPTIONS = {
  json: { type: 'boolean' },
  variant: { type: 'string' },
  workers: { type: 'string' },
  timeout: { type: 'string' },
  quiet: { type: 'boolean', short: 'q' },
};

export const RUN_HELP = `
  --json               one JSON document on standard output and nothing else there
  --variant NAME       simd, relaxed or auto: which WebAssembly binary (auto)
  --workers N          (cores - 1)
  --timeout SECONDS    that one image may take before it is given up (60)
  -q, --quiet          no progress
`;

/**
 * @param {Command} command
 * @param {string[]} argv
 * @returns {Parsed}
 */
export function parseCommand(command, argv) {
  try {
    const { values, positionals } = parseArgs({ args: argv, options: command.options, allowPositionals: true, strict: true });
    return { values, paths: positionals };
  } catch (error) {
    // Node adds advice about `--` after the first sentence.
    throw new UsageError(/** @type {Error} */ (error).message.split(/\. (?=To specify|Did you)/)[0].replace(/\n/g, ' '));
  }
}

/** @param {Command} command */
export function helpOf({ help }) {
  return `${help.trim()}\n`;
}

/**
 * @param {Record<string, any>} values
 * @param {string} name
 */
export function required(values, name) {
  if (values[name] === undefined) throw new UsageError(`--${name} is needed`);
  return values[name];
}

/**
 * @param {Record<string, any>} values
 * @param {string} name
 * @param {{ min?: number, max?: number, integer?: boolean }} [range]
 * @returns {number | undefined}
 */
export function numberOf(values, name, { min = -Infinity, max = Infinity, integer = false } = {}) {
  return values[name] === undefined ? undefined : parseNumber(values[name], `--${name}`, { min, max, integer });
}

/**
 * @param {string} text
 * @param {string} name
 * @param {{ min: number, max: number, integer: boolean }} range
 */
function parseNumber(text, name, { min, max, integer }) {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) throw new UsageError(`${name} ${text}: not a number`);
  if (integer && !Number.isInteger(number)) throw new UsageError(`${name} ${text}: not a whole number`);
  if (number < min || number > max) throw new UsageError(`${name} ${text}: ${max === Infinity ? `less than ${min}` : `not in ${min}..${max}`}`);
  return number;
}

/**
 * Comma-separated numbers.
 * @param {Record<string, any>} values
 * @param {string} name
 * @param {{ min?: number, max?: number, integer?: boolean }} [range]
 * @returns {number[] | undefined}
 */
export function numbersOf(values, name, { min = -Infinity, max = Infinity, integer = false } = {}) {
  return values[name]?.split(',').map((/** @type {string} */ text) => parseNumber(text, `--${name}`, { min, max, integer }));
}

/**
 * "a,b=cls" or "auto", for parseLayers of the package.
 * @param {string | undefined} text
 * @returns {'auto' | string[]}
 */
export function layersOf(text) {
  if (text === undefined || text === 'auto') return 'auto';
  const layers = text.split(',').map((layer) => layer.trim());
  if (layers.includes('')) throw new UsageError(`--layers ${text}: an empty name`);
  const names = layers.map((layer) => layer.replace(/=(sum|nhwc|mean|cls|none)$/, ''));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice) throw new UsageError(`--layers ${text}: ${twice} is named twice`);
  return layers;
}

/**
 * variant, workers and timeout for the package. One core is left for reading files, and for whoever sits there.
 * @param {Record<string, any>} values
 */
export function runOptions(values) {
  const { variant = 'auto' } = values;
  if (!['simd', 'relaxed', 'auto'].includes(variant)) throw new UsageError(`--variant ${variant}: simd, relaxed or auto`);
  const workers = numberOf(values, 'workers', { min: 1, max: 256, integer: true }) ?? Math.max(1, os.availableParallelism() - 1);
  const seconds = numberOf(values, 'timeout', { min: 0.001 });
  return { variant, workers, timeout: seconds && seconds * 1000 };
}
