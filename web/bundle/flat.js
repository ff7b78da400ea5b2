// A module with all that it imports in its own place: a visitor's browser asks once, not a hundred times and level by level.
import fs from 'node:fs';
import path from 'node:path';
import * as esbuild from 'esbuild';

// The form that every bundler knows, and that the sources keep to.
const FILE = /new URL\('([^']+)', import\.meta\.url\)/g;

/** Addresses of files beside the modules become addresses from this folder. @param {string} folder */
const movedTo = (folder) => ({
  name: 'moved',
  setup(build) {
    build.onLoad({ filter: /\.js$/ }, ({ path: file }) => {
      const move = (_, url) => {
        const moved = path.relative(folder, path.resolve(path.dirname(file), url)).split(path.sep).join('/');
        return `new URL('${moved.startsWith('.') ? moved : `./${moved}`}', import.meta.url)`;
      };
      return { contents: fs.readFileSync(file, 'utf8').replace(FILE, move) };
    });
  },
});

/** @param {string} file is written over; what it imports stays for others */
export async function flatten(file) {
  const { outputFiles } = await esbuild.build({
    entryPoints: [file], bundle: true, write: false, format: 'esm', target: 'es2022', charset: 'utf8', plugins: [movedTo(path.dirname(file))],
  });
  fs.writeFileSync(file, outputFiles[0].contents);
}
