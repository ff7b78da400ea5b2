// npm test -- audit: known vulnerabilities among the packages of every lock, where the registry can be asked.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { root, say } from './shell.js';

const LOCKS = ['.', 'wasm/toolchain/node', 'tests/browser/consumer'];

/** @returns {{ passed: number, failed: number }} nothing of either for a lock that nobody could be asked about */
export function audit() {
  const sum = { passed: 0, failed: 0 };
  for (const folder of LOCKS) {
    const { stdout } = spawnSync('npm', ['audit', '--package-lock-only', '--json'], { cwd: path.join(root, folder), encoding: 'utf8' });
    const report = parse(stdout);
    const found = report?.metadata?.vulnerabilities;
    if (!found) {
      say(`${folder}: not audited: ${report?.message || 'the registry gives no answer'}`);
    } else if (found.total > 0) {
      say(`${folder}: ${Object.values(report.vulnerabilities).map(({ name, severity, range }) => `${name} ${range} (${severity})`).join(', ')}`);
      ++sum.failed;
    } else {
      ++sum.passed;
    }
  }
  return sum;
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
