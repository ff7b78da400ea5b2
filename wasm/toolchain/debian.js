// Files from the Debian archive at a release other than the machine's, without a change to its package
// sources: a private source list derived from apt's own (same mirror, another suite), private package
// lists, and apt's own downloader. Signatures are checked by apt as always.
import fs from 'node:fs';
import path from 'node:path';
import { ask, cache, run, say, SetupError, which } from './shell.js';

const HELPER = '/usr/lib/apt/apt-helper';

export const hasDebian = () => which('apt-get') !== null && fs.existsSync(HELPER);

export class Debian {
  #suite;
  #folder;

  /** @param {string} suite  the release to read, "trixie" */
  constructor(suite) {
    this.#suite = suite;
    this.#folder = path.join(fs.realpathSync(cache), `apt-${suite}`);
  }

  #options() {
    const set = (name, value) => ['-o', `${name}=${value}`];
    return [
      ...set('Dir::Etc::SourceList', path.join(this.#folder, 'debian.sources')),
      ...set('Dir::Etc::SourceParts', '/dev/null'),
      ...set('Dir::State::Lists', path.join(this.#folder, 'lists')),
      ...set('Dir::Cache', path.join(this.#folder, 'cache')),
      ...set('APT::Sandbox::User', ''),
      ...set('Acquire::Languages', 'none'),
      ...set('Acquire::Retries', '3'),
    ];
  }

  /** Reads the package lists of the suite; once, unless an earlier read is more than a day old. */
  async update() {
    const stamp = path.join(this.#folder, 'updated');
    if (fs.existsSync(stamp) && Date.now() - fs.statSync(stamp).mtimeMs < 86400e3) return;
    for (const folder of ['lists/partial', 'cache/archives/partial']) {
      fs.mkdirSync(path.join(this.#folder, folder), { recursive: true });
    }
    const { uri, signedBy } = machineMirror();
    fs.writeFileSync(path.join(this.#folder, 'debian.sources'), [
      'Types: deb deb-src', `URIs: ${uri}`, `Suites: ${this.#suite}`, 'Components: main',
      ...(signedBy ? [`Signed-By: ${signedBy}`] : []), '',
    ].join('\n'));
    say(`Reading Debian ${this.#suite}'s package lists (privately)`);
    await run('apt-get update', ['apt-get', ...this.#options(), 'update']);
    fs.writeFileSync(stamp, '');
  }

  /** Where the upstream archive of a source package is: {uri, hash}. */
  source(name) {
    return this.#find(['--only-source', 'source', name], /\.orig\.tar\.\w+$/);
  }

  /** Where a binary package is: {uri, hash}. */
  binary(name) {
    return this.#find(['download', name], /\.deb$/);
  }

  #find(args, pattern) {
    const printed = ask('apt-get', [...this.#options(), '--print-uris', ...args], { stdio: ['ignore', 'pipe', 'ignore'] }) ?? '';
    for (const line of printed.split('\n')) {
      const [, uri, file, hash] = /^'([^']+)' (\S+) \d+ (SHA256:[0-9a-f]{64})/.exec(line) ?? [];
      if (uri && pattern.test(file)) return { uri, hash };
    }
    throw new SetupError(`Debian ${this.#suite} has no ${args.at(-1)} at this machine's mirror.`);
  }

  /** Downloads into `file`; complete and checked, or not there at all. */
  async fetch({ uri, hash }, file) {
    const part = `${file}.part`;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    await run('Download', [HELPER, ...this.#options(), 'download-file', uri, part, hash]);
    fs.renameSync(part, file);
  }
}

// The mirror and keyring of the machine's own release, as apt understands its configuration (whatever
// the format of the files).
function machineMirror() {
  const release = /^VERSION_CODENAME=(.*)$/m.exec(fs.readFileSync('/etc/os-release', 'utf8'))?.[1];
  const format = '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)';
  const targets = ask('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']) ?? '';
  const mirrors = targets.split('\n').map((line) => line.split('|')).filter(([, , component]) => component === 'main');
  const [uri, , , signed] = mirrors.find(([, name]) => [release, 'stable', 'oldstable', 'testing', 'unstable', 'sid'].includes(name)) ?? [];
  if (!uri) throw new SetupError('apt knows no Debian mirror with component "main": see /etc/apt/sources.list.');
  // Where the list names no key, Debian's own is meant. (An unset field prints as its own name.)
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const signedBy = signed?.startsWith('/') ? signed : fs.existsSync(keyring) ? keyring : null;
  return { uri, signedBy };
}
