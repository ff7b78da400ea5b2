// Runs the `nac` command as a user does.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const NAC = fileURLToPath(new URL('../../../wasm/cli/nac.js', import.meta.url));

/** @returns {Promise<{ code: number, stdout: string, stderr: string, json: any }>} json: stdout parsed, when asked for */
export async function nac(...args) {
  const child = spawn(process.execPath, [NAC, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) child[name].setEncoding('utf8').on('data', (chunk) => (output[name] += chunk));
  const [code] = await once(child, 'close');
  return {
    code,
    ...output,
    get json() {
      return JSON.parse(output.stdout);
    },
  };
}
