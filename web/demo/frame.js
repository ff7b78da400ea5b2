// @ts-check
/** The page inside the <iframe>. */
import { serveFrame } from '../element/index.js';

const said = document.querySelector('meta[name="nac-origins"]')?.getAttribute('content') ?? '';
const origins = said.split(/\s+/).filter(Boolean).map((word) => (word === "'self'" ? location.origin : word));
serveFrame(/** @type {any} */ (document.querySelector('nac-detector')), { origins });
