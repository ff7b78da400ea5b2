// npm run bench -- [--rounds 10] [--images 1000] [--only networks,chromium,detector,first-score,sizes] [--out FOLDER] [resnet18 resnet50 mobilenet_v2]
//
// Every figure that is claimed, each part in a file of its own:
//   networks.js     scores of torchvision's networks against onnxruntime-web (peers.js) and tfjs (tfjs.js), and their memory
//   chromium.js     the same scores in Chromium
//   detector.js     the bundled detector: images a second by workers, profiles, memory after many images (--images 10000)
//   first-score.js  the first score from nothing in Chromium, stage by stage
//   sizes           what is downloaded: the binaries raw and after brotli, the npm package
// Prints tables and writes them, with the machine and the date, as results.json, results.md and a CSV file each. Absolute
// times differ from machine to machine; ratios are of runs side by side. By hand: nodes.js (time and share of the peak
// of every node), operators.c.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import zlib from 'node:zlib';
import { measureInChromium } from './chromium.js';
import { measureDetector } from './detector.js';
import { measureFirstScore } from './first-score.js';
import { measureNetworks } from './networks.js';
import { folder } from './peers.js';
import { describeMachine, toMarkdown, writeReport } from './report.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '10' },
    images: { type: 'string', default: '1000' },
    only: { type: 'string' },
    out: { type: 'string', default: path.join(folder, 'results') },
  },
});
const options = {
  rounds: Math.max(8, Number(values.rounds)),
  images: Number(values.images),
  names: positionals.length > 0 ? positionals : ['resnet18', 'resnet50', 'mobilenet_v2'],
};

/** @returns {import('./report.js').Table[]} */
function measureSizes() {
  const rows = ['nac-relaxed.wasm', 'nac-simd.wasm'].map((name) => {
    const bytes = readFileSync(new URL(`../dist/${name}`, import.meta.url));
    return [name, bytes.length, zlib.brotliCompressSync(bytes).length];
  });
  const root = fileURLToPath(new URL('..', import.meta.url));
  const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const [tarball] = JSON.parse(packed);
  return [{ name: 'sizes', columns: ['file', 'bytes', 'after brotli; of the package, its tarball'], rows: [...rows, ['npm package', tarball.unpackedSize, tarball.size]] }];
}

const PARTS = { networks: measureNetworks, chromium: measureInChromium, detector: measureDetector, 'first-score': measureFirstScore, sizes: measureSizes };
const wanted = values.only?.split(',') ?? Object.keys(PARTS);
for (const name of wanted) if (!Object.hasOwn(PARTS, name)) throw new Error(`--only: there is no part "${name}": ${Object.keys(PARTS).join(', ')}`);

const tables = [];
for (const name of wanted)
  for (const table of await PARTS[name](options)) {
    tables.push(table);
    console.log(`${table.name}\n\n${toMarkdown(table)}\n`);
  }
writeReport(values.out, { ...describeMachine(), rounds: options.rounds }, tables);
console.error(`written to ${path.relative(process.cwd(), values.out)}`);
