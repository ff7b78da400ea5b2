// @ts-check
/** Defines <nac-detector>. */
import { NacDetector } from './nac-detector.js';

export { NacDetector };
export { connectFrame } from './connect-frame.js';
export { serveFrame } from './serve-frame.js';

if (!customElements.get('nac-detector')) customElements.define('nac-detector', NacDetector);
