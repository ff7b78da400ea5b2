// @ts-check
/** Files, folders and sprites named on the command line, as images that are read when their turn comes. */
import { open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { NacError } from '../../js/error.js';
import { readBytes, reasonOf } from '../../js/host-node.js';
import { spriteTiles } from '../../js/images.js';
import { countTiles, parseSpriteName } from '../../js/sprite.js';

/** @typedef {import('../../js/images.js').LazyImage} LazyImage */

// Of a folder's files. What is here but cannot be read is reported; a README is passed over.
const IMAGE = /\.(png|jpe?g|webp|avif|gif|bmp|tiff?|heic)$/i;

/**
 * All images below the paths, in the order of the paths and of their names. A folder's sub-folders are groups (classes); a
 * sprite beside them is a group of its own name.
 * @param {string[]} paths
 * @param {(file: string, error: Error) => void} onError a path that cannot be read
 * @returns {Promise<LazyImage[]>}
 */
export async function listImages(paths, onError) {
  /** @type {LazyImage[]} */
  const images = [];
  for (const name of paths) {
    try {
      // A loop: a sheet may have more tiles than a call may have arguments.
      for (const image of await listPath(name, onError)) images.push(image);
    } catch (error) {
      onError(name, toError(name, error));
    }
  }
  return images;
}

/** @param {string} name @param {any} error */
function toError(name, error) {
  return error instanceof NacError ? error : new NacError('NOT_FOUND', `${name}: ${reasonOf(error)}`);
}

/**
 * @param {string} name
 * @param {(file: string, error: Error) => void} onError
 */
async function listPath(name, onError) {
  const found = await stat(name).catch((error) => error);
  if (found instanceof Error && !parseSpriteName(name).tile) throw found;
  return !(found instanceof Error) && found.isDirectory() ? listFolder(name, onError) : listFile(name, undefined);
}

/**
 * @param {string} root
 * @param {(file: string, error: Error) => void} onError
 */
async function listFolder(root, onError) {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory() && IMAGE.test(entry.name)).map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));
  // By code units, not by locale: the order decides which images a subset takes.
  files.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const images = [];
  for (const file of files) {
    const [folder, ...inside] = path.relative(root, file).split(path.sep);
    const group = inside.length > 0 ? folder : undefined;
    try {
      for (const image of await listFile(file, group)) images.push(image);
    } catch (error) {
      onError(file, toError(file, error));
    }
  }
  return images;
}

/**
 * @param {string} name
 * @param {string | undefined} group
 * @returns {Promise<LazyImage[]>}
 */
async function listFile(name, group) {
  // A file may really be called "a.png#32x32".
  const literal = name.includes('#') && (await stat(name).catch(() => null));
  const { file, tile } = literal ? { file: name, tile: null } : parseSpriteName(name);
  if (!tile) return [{ name, group, load: () => readBytes(name, { kind: 'image' }) }];
  const count = countTiles(file, await readStart(file), tile);
  const stem = path.basename(file).replace(/(\.\d+x\d+)?\.png$/i, '');
  return spriteTiles(file, group ?? stem, tile, count, () => readBytes(file, { kind: 'image' }));
}

/** @param {string} file */
async function readStart(file) {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(24), 0, 24, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/**
 * The groups' names in order, or undefined when the images are not in groups.
 * @param {LazyImage[]} images
 */
export function groupsOf(images) {
  const names = new Set(images.map((image) => image.group));
  return names.has(undefined) || names.size < 2 ? undefined : /** @type {string[]} */ ([...names]).sort();
}
