// Third-party sources: fetched once, checked against sources.json, kept in .cache/src/<name>.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Debian, hasDebian } from './debian.js';
import { cache, root, run, say, SetupError } from './shell.js';

const lock = JSON.parse(fs.readFileSync(path.join(root, 'wasm/toolchain/sources.json'), 'utf8'));
export const suite = lock.suite;

/** SHA-256 of the sources in use, for what is built from them. */
export const sourcesKey = (names) => lock.sources.filter(({ name }) => names.includes(name)).map(({ treeSha256 }) => treeSha256).join('\n');

export async function needSources() {
  for (const source of lock.sources) {
    const folder = path.join(cache, 'src', source.name);
    const stamp = path.join(folder, '.tree-sha256');
    if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === source.treeSha256) continue;
    say(`Fetching ${source.name} ${source.version}`);
    const archive = path.join(cache, 'downloads', source.name);
    const unpacked = path.join(cache, 'src', `${source.name}.part`);
    if (hasDebian()) {
      const debian = new Debian(lock.suite);
      await debian.update();
      await debian.fetch(debian.source(source.debian), archive);
    } else {
      await fetchUpstream(source.upstream, archive);
    }
    await unpack(archive, unpacked, source.keep);
    const hash = treeHash(unpacked);
    if (hash !== source.treeSha256) {
      throw new SetupError(`${source.name}: the files have SHA-256 ${hash}, sources.json says ${source.treeSha256}.`);
    }
    fs.writeFileSync(path.join(unpacked, '.tree-sha256'), hash);
    fs.rmSync(folder, { recursive: true, force: true });
    fs.renameSync(unpacked, folder);
    fs.rmSync(archive);
  }
}

async function fetchUpstream(uri, file) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  let response;
  try {
    response = await fetch(uri);
  } catch (error) {
    throw new SetupError(`${uri}: ${error.cause?.message ?? error.message}`);
  }
  if (!response.ok) throw new SetupError(`${uri}: HTTP status ${response.status}`);
  await pipeline(Readable.fromWeb(response.body), fs.createWriteStream(`${file}.part`));
  fs.renameSync(`${file}.part`, file);
}

// Archives have one top folder, or (some of Debian's) none. What isn't kept isn't left behind either.
async function unpack(archive, folder, keep) {
  const all = `${folder}.all`;
  for (const old of [folder, all]) fs.rmSync(old, { recursive: true, force: true });
  fs.mkdirSync(all, { recursive: true });
  await run('Unpacking', ['tar', '-xf', archive, '-C', all]);
  const names = fs.readdirSync(all);
  const top = names.length === 1 ? path.join(all, names[0]) : all;
  for (const name of keep) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.renameSync(path.join(top, name), path.join(folder, name));
  }
  fs.rmSync(all, { recursive: true });
}

/** What `find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum` gives, with paths lacking "./". */
export function treeHash(folder) {
  const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath ?? entry.path, entry.name)))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const tree = crypto.createHash('sha256');
  for (const file of files) {
    const hash = crypto.createHash('sha256').update(fs.readFileSync(path.join(folder, file))).digest('hex');
    tree.update(`${hash}  ${file}\n`);
  }
  return tree.digest('hex');
}
