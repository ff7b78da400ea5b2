// node tests/oracle/sample_scores.js: writes tests/golden/scores/samples.json, what the bundled network and profile say of models/samples.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const output = execFileSync(process.execPath, ['wasm/cli/nac.js', 'score', '--json', '--variant', 'simd', 'models/samples'], { cwd: root, encoding: 'utf8' });
const golden = JSON.parse(output).results.map(({ file, verdict, score, label, probability, layers }) => ({
  file, verdict, score, label, probability, layers: Object.fromEntries(layers.map((layer) => [layer.name, layer.score])),
}));
writeFileSync(path.join(root, 'tests/golden/scores/samples.json'), `${JSON.stringify(golden, null, 1)}\n`);
