// What makes dist/ one release: a name made of its contents, the service worker that keeps it whole, and a list of hashes.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { hashOf } from './integrity.js';

/**
 * @param {string} dist
 * @param {string[]} names of the files that make the page
 * @param {(name: string, change: (text: string) => string) => Promise<void>} edit
 */
export async function release(dist, names, edit) {
  const read = (/** @type {string} */ name) => fs.readFileSync(path.join(dist, name));
  const source = fs.readFileSync(new URL('../offline/service-worker.js', import.meta.url), 'utf8');
  // The page holds the version, so it is that of everything before it was stamped in.
  const version = createHash('sha256').update(names.map((name) => `${hashOf(read(name))} ${name}\n`).join('')).update(source).digest('hex').slice(0, 12);
  await edit('index.html', (html) => html.replace('<meta charset="utf-8">', `$&\n  <meta name="nac-release" content="${version}">`));

  const files = Object.fromEntries(names.map((name) => [name, hashOf(read(name))]));
  fs.writeFileSync(path.join(dist, 'service-worker.js'), `self.RELEASE = ${JSON.stringify({ version, files }, null, 1)};\n${source}`);

  const all = [...names, 'service-worker.js', 'nac-single.html'];
  const sums = all.map((name) => `${createHash('sha256').update(read(name)).digest('hex')}  ${name}\n`);
  fs.writeFileSync(path.join(dist, 'SHA256SUMS'), sums.join(''));
  return { version, files: names.length };
}
