// npm run demo [-- --once]: set-up, build, the bundled samples scored by the bundled model, then the page.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { build } from './build.js';
import { needDependencies } from './dependencies.js';
import { program, root, say } from './shell.js';

async function nac(...args) {
  const child = spawn(process.execPath, ['wasm/cli/nac.js', ...args], { cwd: root, stdio: 'inherit' });
  const [code] = await once(child, 'close');
  return code ?? 1;
}

program(async (args) => {
  await needDependencies();
  await build();
  say('Scoring models/samples');
  const code = await nac('score', 'models/samples');
  return code !== 0 || args.includes('--once') ? code : nac('serve');
});
