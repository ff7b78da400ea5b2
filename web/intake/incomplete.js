// @ts-check
/** A model that came without files that it names for its weights: it is kept, until they come or another model does. */
import { isModel } from './inputs.js';

/** @type {{ files: File[], names: string[] } | null} */
let waiting = null;

/** A file's own name, of one as the model has it. @param {string} name */
const baseOf = (name) => name.split('/').at(-1) ?? name;

/**
 * Keeps the files.
 * @param {File[]} files with the model
 * @param {string[]} names of those that it lacks
 * @returns {{ text: string, act: () => void }} a button that asks for them
 */
export function waitFor(files, names) {
  waiting = { files, names };
  const text = names.length === 1 ? `Choose ${baseOf(names[0])}` : `Choose these ${names.length} files`;
  return { text, act: () => /** @type {HTMLInputElement | null} */ (document.querySelector('#files'))?.click() };
}

/**
 * What has come, with the model that has waited for it.
 * @param {File[]} files
 */
export function complete(files) {
  if (!waiting) return files;
  const { files: before, names } = waiting;
  const another = files.some(isModel);
  if (!another && !files.some(({ name }) => names.map(baseOf).includes(name))) return files; // an image in between
  waiting = null;
  return another ? files : [...before, ...files];
}
