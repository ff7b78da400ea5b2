// @ts-check
/** What a chart needs of SVG: elements as text, a scale with round ticks, and colours for light and dark. */

/** @typedef {Record<string, string | number>} Attributes */

const escape = (/** @type {string} */ text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`).replace(/[\0-\x08\x0b\x0c\x0e-\x1f]/g, '?');
// A hundredth of a pixel is enough.
const plain = (/** @type {string | number} */ value) => (typeof value === 'number' ? String(Math.round(100 * value) / 100) : escape(value));

/**
 * @param {string} name
 * @param {Attributes} attributes
 * @param {...string} children elements
 */
export function element(name, attributes, ...children) {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${plain(value)}"`).join('');
  return children.length === 0 ? `<${name}${written}/>` : `<${name}${written}>${children.join('')}</${name}>`;
}

/** @param {number} x @param {number} y @param {string} content @param {Attributes} [attributes] */
export const text = (x, y, content, attributes = {}) => element('text', { x, y, ...attributes }, escape(content));

/** @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 @param {string} name of its class */
export const line = (x1, y1, x2, y2, name) => element('line', { x1, y1, x2, y2, class: name });

/** @param {number[][]} points */
export const path = (points) => points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${plain(x)} ${plain(y)}`).join('');

/**
 * Numbers to pixels, with 3 to 8 round numbers in between.
 * @param {[number, number]} domain
 * @param {[number, number]} range
 */
export function linear([low, high], [start, end]) {
  const scale = (/** @type {number} */ value) => start + ((value - low) / (high - low)) * (end - start);
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const ticks = Array.from({ length: Math.max(0, Math.floor(high / step + 1e-9) - first + 1) }, (_, i) => (first + i) * step);
  return Object.assign(scale, { ticks, pixels: [start, end], digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) });
}

/** Classes rather than CSS variables, which not every viewer knows. Without a media query there is light, on its own ground.
 * @param {Record<string, [light: string, dark: string]>} colors by class; stroke for names that end in "-line", otherwise fill
 */
function stylesheet(colors) {
  const rules = (/** @type {0 | 1} */ mode) => Object.entries(colors).map(([name, pair]) => `.${name}{${name.endsWith('-line') ? 'stroke' : 'fill'}:${pair[mode]}}`).join('');
  return `text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-variant-numeric:tabular-nums}
.title{font-size:16px;font-weight:600}.small{font-size:12px}.strong{font-weight:600}
line,path{fill:none;stroke-linejoin:round}.dashed-line{stroke-dasharray:5 4;stroke-width:1.5}
${rules(0)}
@media (prefers-color-scheme:dark){${rules(1)}}`;
}

/** @type {Record<string, [string, string]>} */
const GROUND = {
  ground: ['#ffffff', '#15191f'],
  ink: ['#1c2128', '#e6eaf0'],
  soft: ['#5a6472', '#9aa5b4'],
  'grid-line': ['#e4e8ed', '#2b323c'],
  'axis-line': ['#8f99a6', '#6b7685'],
  'dashed-line': ['#1c2128', '#e6eaf0'],
};

/**
 * A whole file.
 * @param {{ width: number, height: number, title: string, desc: string, colors: Record<string, [string, string]> }} about
 * @param {string[]} children
 */
export function svg({ width, height, title, desc, colors }, children) {
  const attributes = { xmlns: 'http://www.w3.org/2000/svg', width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-labelledby': 'title desc' };
  const head = [
    element('title', { id: 'title' }, escape(title)),
    element('desc', { id: 'desc' }, escape(desc)),
    `<style>${stylesheet({ ...GROUND, ...colors })}</style>`,
    element('rect', { width, height, class: 'ground' }),
  ];
  return `${element('svg', attributes, ...head, ...children)}\n`;
}
