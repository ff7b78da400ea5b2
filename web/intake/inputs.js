// @ts-check
/** Files, however they come in: drop, paste, picker. All roads end in a list of Files. */
import { pathOf, setPath } from './paths.js';

const isImage = (/** @type {File} */ { name }) => /\.(png|jpe?g|webp|avif|gif|bmp)$/i.test(name);
export const isModel = (/** @type {File} */ { name }) => /\.onnx$/i.test(name);

/** What is taken of a folder: `images` alone, or all of one with a model in it, which may need any of them. @typedef {'images' | 'models'} Wanted */

/**
 * Of a drop or a paste. The entries must be asked for before the event handler returns, so nothing is awaited until then.
 * @param {DataTransfer} transfer
 * @param {Wanted} [wanted]
 * @returns {Promise<File[]>}
 */
export async function filesOf(transfer, wanted) {
  const items = [...transfer.items].filter(({ kind }) => kind === 'file');
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? null);
  const plain = items.map((item) => item.getAsFile());
  const found = await Promise.all(entries.map((entry, i) => (entry?.isDirectory ? walk(/** @type {any} */ (entry)).then((files) => ofFolder(files, wanted)) : [plain[i]])));
  return /** @type {File[]} */ (found.flat().filter(Boolean));
}

/**
 * Of a picked folder.
 * @param {FileList} list
 * @param {Wanted} [wanted]
 */
export const filesOfFolder = (list, wanted) => ofFolder([...list], wanted);

/**
 * What else lies there is nobody's fault.
 * @param {File[]} files
 * @param {Wanted} [wanted]
 */
function ofFolder(files, wanted = 'images') {
  return (wanted === 'models' && files.some(isModel) ? files : files.filter(isImage)).sort(byPath);
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
      else {
        const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
        setPath(file, entry.fullPath.replace(/^\//, ''));
        files.push(file);
      }
    }
  }
  return files;
}

/** @param {any} reader @returns {Promise<any[]>} */
const read = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));

/** @param {File} a @param {File} b */
const byPath = (a, b) => pathOf(a).localeCompare(pathOf(b), undefined, { numeric: true });

/**
 * A model and its profile among the files, and the rest. Of what comes with a model, all that is no image may be a file that it names for its
 * weights: these follow it in `model`.
 * @param {File[]} files
 * @returns {{ model: File[] | undefined, profile: File | undefined, images: File[] }}
 */
export function sortOut(files) {
  const model = files.find(isModel);
  const profile = files.find(({ name }) => /\.safetensors$/i.test(name));
  const rest = files.filter((file) => file !== model && file !== profile);
  if (!model) return { model, profile, images: rest };
  return { model: [model, ...rest.filter((file) => !isImage(file))], profile, images: rest.filter(isImage) };
}
