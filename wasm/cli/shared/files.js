// @ts-check
/** Where the bundled files are, which files a command means, and writing without leaving half a file behind. */
import { existsSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { NacError } from '../../js/error.js';
import { reasonOf } from '../../js/host-node.js';
import { UsageError } from './args.js';

export const PACKAGE_ROOT = new URL('../../../', import.meta.url);
const BUNDLED = 'cifar10-resnet18.onnx';

/** Beside the code in a checkout; else in a package of its own, so that those who bring their own model need not carry it. */
function bundledModel() {
  const beside = fileURLToPath(new URL(`models/${BUNDLED}`, PACKAGE_ROOT));
  if (existsSync(beside)) return beside;
  try {
    return createRequire(import.meta.url).resolve(`nac-wasm-cifar10/${BUNDLED}`);
  } catch {
    throw new NacError('NOT_FOUND', 'no model is installed: --model names one, or npm install nac-wasm-cifar10 brings the bundled one');
  }
}

/**
 * The model and profile to use: those named, the bundled ones, or the profile beside the model.
 * @param {Record<string, any>} values
 */
export function modelAndProfile(values) {
  const model = values.model ?? bundledModel();
  if (values.profile) return { model, profile: values.profile };
  const profile = model.replace(/\.onnx$/i, '.safetensors');
  if (profile === model || !existsSync(profile)) throw new UsageError(`--profile is needed: there is none beside ${model}`);
  return { model, profile };
}

/**
 * An error of the core does not know the file's name.
 * @template T
 * @param {string} file
 * @param {() => T | Promise<T>} body
 */
export async function named(file, body) {
  try {
    return await body();
  } catch (error) {
    if (error instanceof NacError && !error.message.startsWith(`${file}: `)) throw new NacError(error.code, `${file}: ${error.message}`);
    throw error;
  }
}

/**
 * Writes chunks to a file that appears when it is whole.
 * @param {string} file
 * @param {Iterable<Uint8Array>} chunks
 */
export async function writeOutput(file, chunks) {
  const temporary = `${file}.${process.pid}.part`;
  try {
    const handle = await open(temporary, 'w');
    try {
      for (const chunk of chunks) await handle.writeFile(chunk);
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {}); // nor is there anything to remove where a folder is a file
    throw new NacError('NOT_FOUND', `${file}: it cannot be written: ${reasonOf(/** @type {any} */ (error))}`);
  }
}

/**
 * The SHA-256 that goes with a profile is of this file's bytes; the name is for people.
 * @param {string} file
 */
export function baseName(file) {
  return file.split(/[\\/]/).at(-1) ?? file;
}

/** A text as part of a file's name.
 * @param {string} text
 */
export function safeName(text) {
  return text.replace(/[^\w.-]+/g, '_').replace(/^_+|_+$/g, '') || '_';
}

/** @returns {Promise<string>} */
export async function packageVersion() {
  return JSON.parse(await readFile(new URL('package.json', PACKAGE_ROOT), 'utf8')).version;
}
