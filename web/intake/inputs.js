// @ts-check
/** Files, however they come in: drop, paste, picker. All roads end in a list of Files. */
import { pathOf, setPath } from './paths.js';

const IMAGE = /\.(png|jpe?g|webp|avif|gif|bmp)$/i;

/**
 * Of a drop or a paste. The entries must be asked for before the event handler returns, so nothing is awaited until then.
 * @param {DataTransfer} transfer
 * @returns {Promise<File[]>}
 */
export async function filesOf(transfer) {
  const items = [...transfer.items].filter(({ kind }) => kind === 'file');
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? null);
  const plain = items.map((item) => item.getAsFile());
  const found = await Promise.all(entries.map((entry, i) => (entry?.isDirectory ? walk(/** @type {any} */ (entry)) : [plain[i]])));
  return /** @type {File[]} */ (found.flat().filter(Boolean));
}

/**
 * The images of a picked folder: what else lies there is nobody's fault.
 * @param {FileList} list
 */
export function filesOfFolder(list) {
  return [...list].filter(({ name }) => IMAGE.test(name)).sort(byPath);
}

/**
 * @param {any} folder a FileSystemDirectoryEntry
 * @returns {Promise<File[]>}
 */
async function walk(folder) {
  const reader = folder.createReader();
  const files = [];
  // It gives 100 at a time, and then nothing.
  for (let batch = await read(reader); batch.length > 0; batch = await read(reader)) {
    for (const entry of batch) {
      if (entry.isDirectory) files.push(...(await walk(entry)));
      else if (IMAGE.test(entry.name)) {
        const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
        setPath(file, entry.fullPath.replace(/^\//, ''));
        files.push(file);
      }
    }
  }
  return files.sort(byPath);
}

/** @param {any} reader @returns {Promise<any[]>} */
const read = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));

/** @param {File} a @param {File} b */
const byPath = (a, b) => pathOf(a).localeCompare(pathOf(b), undefined, { numeric: true });

/**
 * A model and its profile among the files, and the rest.
 * @param {File[]} files
 */
export function sortOut(files) {
  const model = files.find(({ name }) => /\.onnx$/i.test(name));
  const profile = files.find(({ name }) => /\.safetensors$/i.test(name));
  return { model, profile, images: files.filter((file) => file !== model && file !== profile) };
}
