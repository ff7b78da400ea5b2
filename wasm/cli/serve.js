// @ts-check
/** nac serve: a static server for the page, on this machine only. */
import { existsSync } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { NacError } from '../js/error.js';
import { reasonOf } from '../js/host-node.js';
import { UsageError, numberOf } from './shared/args.js';
import { PACKAGE_ROOT } from './shared/files.js';

export const summary = 'Serve the page on 127.0.0.1';

export const help = `
nac serve [DIR] [--port N]

  DIR                  folder to serve (dist/ of this package)
  --port N             (8080, or any free one where that is taken; 0: any free one)
`;

/** @type {Record<string, import('./shared/args.js').Option>} */
export const options = { port: { type: 'string' }, json: { type: 'boolean' } };

/** @type {Record<string, string>} */
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.ico': 'image/x-icon',
  '.txt': 'text/plain; charset=utf-8',
  '.md': 'text/plain; charset=utf-8',
};

/** Bytes of a file that are sent at a time. A model in pieces of 64 KiB takes a third longer to arrive. */
const BLOCK = 1 << 20;

/** @type {import('./shared/args.js').Command['run']} */
export async function run({ values, paths }, { terminal, signal }) {
  if (paths.length > 1) throw new UsageError('serve takes one folder');
  const port = numberOf(values, 'port', { min: 0, max: 65535, integer: true });
  const folder = paths[0] ?? fileURLToPath(new URL('dist/', PACKAGE_ROOT));
  if (paths.length === 0 && !existsSync(path.join(folder, 'index.html')))
    throw new NacError('NOT_FOUND', 'the page is not part of the package, or not built yet: npm run build in a checkout makes it, and nac serve DIR serves any folder');
  const root = await realpath(folder).catch((error) => {
    throw new NacError('NOT_FOUND', `${folder}: ${reasonOf(error)}`);
  });
  if (!(await stat(root)).isDirectory()) throw new NacError('NOT_FOUND', `${folder}: not a folder`);
  const server = await listen(root, port);
  const address = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}/`;
  process.stdout.write(values.json ? `${JSON.stringify({ schema: 'nac.serve/1', address, root })}\n` : `${address}\n`);
  terminal.log(`serving ${root}; Ctrl-C ends it`);
  await new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', resolve);
  });
  server.closeAllConnections();
  server.close();
  return 0;
}

/**
 * @param {string} root a real path
 * @param {number | undefined} port
 * @returns {Promise<import('node:http').Server>}
 */
export async function listen(root, port) {
  const open = (/** @type {number} */ wanted) =>
    new Promise((resolve, reject) => {
      const server = createServer((request, response) => {
        answer(root, request, response).catch(() => response.destroy());
      });
      server.once('error', reject);
      server.listen(wanted, '127.0.0.1', () => resolve(server));
    });
  try {
    return await open(port ?? 8080);
  } catch (error) {
    if (port === undefined && /** @type {any} */ (error).code === 'EADDRINUSE') return open(0);
    throw new NacError('NOT_FOUND', `port ${port}: ${/** @type {any} */ (error).code === 'EADDRINUSE' ? 'it is taken' : /** @type {any} */ (error).message}`);
  }
}

/**
 * @param {string} root
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
async function answer(root, request, response) {
  const fail = (/** @type {number} */ code, /** @type {string} */ text) => {
    response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(`${text}\n`);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD') return fail(405, 'only GET and HEAD');
  const file = await find(root, request.url ?? '/');
  if (!file) return fail(404, 'no such file');
  if (file.folder) {
    response.writeHead(301, { location: file.folder });
    return void response.end();
  }
  response.writeHead(200, {
    'content-type': TYPES[path.extname(file.path).toLowerCase()] ?? 'application/octet-stream',
    'content-length': file.size,
    // The files are being worked on as often as not. Not even no-cache: nothing here says whether a kept one is still right, and Chromium would copy a
    // model into its cache before it tells that all of it has come.
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  if (request.method === 'HEAD') return void response.end();
  await send(file, response);
}

/**
 * Through one block of memory: a stream takes a new one for every piece, which costs more than to read it.
 * @param {{ path: string, size: number }} file
 * @param {import('node:http').ServerResponse} response
 */
async function send({ path: name, size }, response) {
  const handle = await open(name);
  try {
    const block = Buffer.allocUnsafe(Math.min(size, BLOCK));
    for (let left = size; left > 0;) {
      const { bytesRead } = await handle.read(block, 0, Math.min(left, block.length));
      if (bytesRead === 0) throw new Error(`${name} has become shorter`);
      left -= bytesRead;
      await new Promise((resolve, reject) => response.write(block.subarray(0, bytesRead), (error) => (error ? reject(error) : resolve(undefined))));
    }
    response.end();
  } finally {
    await handle.close();
  }
}

/**
 * The file a request means, null where there is none inside root.
 * @param {string} root
 * @param {string} url
 */
async function find(root, url) {
  let name;
  try {
    name = decodeURIComponent(url.split(/[?#]/)[0]);
  } catch {
    return null;
  }
  if (name.includes('\0')) return null;
  // realpath follows links as well: what is reached must lie below root.
  let real = await realpath(path.join(root, name)).catch(() => null);
  if (!real || !inside(root, real)) return null;
  if ((await stat(real)).isDirectory()) {
    if (!name.endsWith('/')) return { folder: `${encodeURI(`/${name.replace(/^\/+/, '')}`)}/`, path: '', size: 0 };
    real = await realpath(path.join(real, 'index.html')).catch(() => null);
    if (!real || !inside(root, real)) return null;
  }
  const found = await stat(real);
  return found.isFile() ? { path: real, size: found.size, folder: '' } : null;
}

/** @param {string} root @param {string} file */
function inside(root, file) {
  return file === root || file.startsWith(root.endsWith(path.sep) ? root : root + path.sep);
}
