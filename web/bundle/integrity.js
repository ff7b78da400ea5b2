// Hashes into a page, so that a browser runs nothing else than what was built.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import * as esbuild from 'esbuild';

/** As in an integrity attribute. @param {string | Uint8Array} content */
export const hashOf = (content) => `sha256-${createHash('sha256').update(content).digest('base64')}`;

/** A module and all that it imports, the entry first. @param {string} entry */
async function modulesOf(entry) {
  const { metafile } = await esbuild.build({ entryPoints: [entry], bundle: true, write: false, metafile: true, format: 'esm', absWorkingDir: path.dirname(entry) });
  return Object.keys(metafile.inputs).map((name) => path.resolve(path.dirname(entry), name)).sort((a, b) => Number(b === entry) - Number(a === entry));
}

/**
 * Gives style sheets and scripts their hashes. Modules cannot say the hashes of what they import; they are named here as
 * preloads, which carry them, and which also spare the visitor a round trip for each level of imports.
 * @param {string} html
 * @param {string} folder of the page
 */
export async function secure(html, folder) {
  const integrity = (/** @type {string} */ url) => ` integrity="${hashOf(fs.readFileSync(path.join(folder, url)))}"`;
  const preloads = new Map();
  for (const [, src] of html.matchAll(/<script type="module" src="([^"]+)">/g)) {
    for (const file of (await modulesOf(path.join(folder, src))).slice(1)) {
      const url = path.relative(folder, file).split(path.sep).join('/');
      preloads.set(url.startsWith('.') ? url : `./${url}`, file);
    }
  }
  const links = [...preloads.keys()].sort().map((url) => `  <link rel="modulepreload" href="${url}"${integrity(url)}>\n`);
  return html
    .replace(/(<link rel="stylesheet" href="([^"]+)")>/g, (_, tag, url) => `${tag}${integrity(url)}>`)
    .replace(/(<script type="module" src="([^"]+)")>/g, (_, tag, url) => `${tag}${integrity(url)}>`)
    .replace(/(?=<\/head>)/, () => links.join(''));
}
