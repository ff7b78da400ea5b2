// The packages of package.json: `npm ci` when they are missing or not those of package-lock.json.
import fs from 'node:fs';
import path from 'node:path';
import { root, run, say } from './shell.js';

export async function needDependencies() {
  const { dependencies, devDependencies } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
  if (Object.keys({ ...dependencies, ...devDependencies }).length === 0) return;
  const lock = fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8');
  const stamp = path.join(root, 'node_modules/.nac-lock.json');
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === lock) return;
  say('Installing npm packages');
  await run('npm ci', ['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: root });
  fs.writeFileSync(stamp, lock);
}
