// The private folder .cache: where it is, and who may write in it.
import fs from 'node:fs';
import path from 'node:path';
import { cache, say, SetupError } from './shell.js';

/** Makes .cache, as a link to $NAC_CACHE when that is set (a CI's kept folder, say). */
export function openCache() {
  const wanted = process.env.NAC_CACHE && path.resolve(process.env.NAC_CACHE);
  const present = fs.lstatSync(cache, { throwIfNoEntry: false });
  if (wanted) {
    fs.mkdirSync(wanted, { recursive: true });
    if (!present || present.isSymbolicLink()) {
      if (present) fs.unlinkSync(cache);
      fs.symlinkSync(wanted, cache);
    } else if (fs.realpathSync(wanted) !== fs.realpathSync(cache)) {
      say(`NAC_CACHE is not used: ${cache} is a folder already. Remove it to use ${wanted}.`);
    }
  } else {
    if (present?.isSymbolicLink() && !fs.existsSync(cache)) fs.unlinkSync(cache);
    fs.mkdirSync(cache, { recursive: true });
  }
}

/** Runs work() while no other set-up uses the same folder; a lock whose owner is gone is taken over. */
export async function withLock(work) {
  const file = path.join(cache, 'lock');
  for (let waited = 0; ; ++waited) {
    try {
      fs.writeFileSync(file, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (!ownerLives(file)) {
      fs.rmSync(file, { force: true });
      continue;
    }
    if (waited === 0) say('Waiting for another set-up to finish');
    if (waited > 3600) throw new SetupError(`${file} is held for an hour. Remove it if no set-up is running.`);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const release = () => fs.rmSync(file, { force: true });
  const stop = () => {
    release();
    process.exit(130);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await work();
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    release();
  }
}

function ownerLives(file) {
  const owner = Number(fs.existsSync(file) && fs.readFileSync(file, 'utf8'));
  // An empty file is one that is being written this instant.
  if (!owner) return fs.existsSync(file) && Date.now() - fs.statSync(file).mtimeMs < 5000;
  try {
    process.kill(owner, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
