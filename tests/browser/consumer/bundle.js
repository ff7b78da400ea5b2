// node bundle.js TOOL APP: builds APP into APP/out, or serves it ("vite-dev": prints the address, ends with its input).
import path from 'node:path';

const [tool, app] = process.argv.slice(2);
const out = path.join(app, 'out');

const tools = {
  async vite() {
    const { build } = await import('vite');
    await build({ root: app, logLevel: 'warn', build: { outDir: out } });
  },

  async 'vite-dev'() {
    const { createServer } = await import('vite');
    const server = await createServer({ root: app, logLevel: 'error', server: { port: 0, host: '127.0.0.1', hmr: false } });
    await server.listen();
    console.log(server.resolvedUrls.local[0]);
    process.stdin.resume().on('end', () => process.exit());
  },

  async webpack() {
    const { default: webpack } = await import('webpack');
    const options = { mode: 'production', context: app, entry: './main.js', output: { path: out, filename: 'main.js' }, performance: { hints: false } };
    const stats = await new Promise((resolve, reject) => webpack(options, (error, done) => (error ? reject(error) : resolve(done))));
    if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString());
  },

  // It follows no new URL(…, import.meta.url), so the app says where the binaries and the worker are.
  async esbuild() {
    const { build } = await import('esbuild');
    const { warnings } = await build({
      absWorkingDir: app, entryPoints: { main: './main-esbuild.js', worker: 'nac-wasm/worker' }, outdir: out, bundle: true, minify: true, format: 'esm',
      loader: { '.wasm': 'file' }, logLevel: 'silent',
    });
    // The default places of worker and binaries are warned of nowhere, as they are not used.
    if (warnings.length > 0) throw new Error(JSON.stringify(warnings));
  },
};

await tools[tool]();
