// What a project does, with nothing said of binaries and workers: Vite and webpack find them.
import { loadDetector } from 'nac-wasm';
import 'nac-wasm/element';
import { tryOut } from './try.js';

window.run = () => tryOut(loadDetector, {});
