// @ts-check
/** The element's looks. A constructed sheet, so that no page's policy stands in its way. */

/**
 * Light or dark follows the page's color-scheme, not the system's: an element must not be dark in a light page.
 * @type {Record<string, [property: string, light: string, dark: string]>}
 */
const COLOURS = {
  paper: ['--nac-background', '#ffffff', '#182029'],
  ink: ['--nac-text', '#16202a', '#e9edf1'],
  soft: ['--nac-muted', '#55606b', '#9fabb7'],
  line: ['--nac-border', '#dcdad3', '#2b3641'],
  field: ['--nac-field', '#f3f1ec', '#212b35'],
  in: ['--nac-in', '#1668a8', '#6cb7e8'],
  'in-wash': ['--nac-in-wash', '#e3eff8', '#162c3d'],
  out: ['--nac-out', '#b8480a', '#f6a05c'],
  'out-wash': ['--nac-out-wash', '#fdeee2', '#3a2413'],
  known: ['--nac-known', '#9db4c6', '#4e6579'],
};

const declare = (/** @type {(light: string, dark: string) => string} */ value) =>
  Object.entries(COLOURS).map(([name, [property, light, dark]]) => `--${name}: var(${property}, ${value(light, dark)});`).join(' ');

// Not on :host, where a page's own --ink would be in the way.
const CSS = `
.card { ${declare((light) => light)} }
@supports (color: light-dark(#000, #fff)) { .card { ${declare((light, dark) => `light-dark(${light}, ${dark})`)} } }
.card {
  --radius: var(--nac-radius, 14px);
  color: var(--ink); font: 15px/1.45 var(--nac-font, system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Liberation Sans', sans-serif);
}
:host { display: block; container-type: inline-size; min-width: 220px; }
:host([hidden]) { display: none; }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
p, dl, dd, ul, figure, fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
ul { list-style: none; }
:focus-visible { outline: 3px solid var(--in); outline-offset: 2px; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.card { position: relative; background: var(--paper); border: 1px solid var(--line); border-radius: var(--radius); overflow: hidden; }
.card[data-verdict='in'] { --verdict: var(--in); --wash: var(--in-wash); }
.card[data-verdict='out'] { --verdict: var(--out); --wash: var(--out-wash); }
.card[data-verdict='none'], .card[data-verdict='error'] { --verdict: var(--soft); --wash: var(--field); }
.card.over::after { content: ''; position: absolute; inset: 0; border: 3px solid var(--in); border-radius: var(--radius); pointer-events: none; }
.card.over .drop { background: var(--in-wash); border-color: var(--in); }
:host([disabled]) .drop { opacity: 0.6; }

.drop { margin: 10px; padding: 26px 16px 22px; display: grid; gap: 10px; justify-items: center; text-align: center; border: 2px dashed var(--known); border-radius: calc(var(--radius) - 5px); cursor: pointer; }
:host([disabled]) .drop { cursor: not-allowed; }
.glyph { width: 44px; height: 44px; color: var(--known); }
.prompt { font-weight: 600; }
.hint { color: var(--soft); font-size: 0.84em; }
button { font: inherit; font-size: 0.92em; min-height: 36px; padding: 6px 14px; color: var(--ink); background: var(--paper); border: 1px solid var(--line); border-radius: 9px; cursor: pointer; }
button:hover:enabled { border-color: var(--soft); }
button:disabled { cursor: not-allowed; opacity: 0.6; }
.drop button { background: var(--ink); border-color: var(--ink); color: var(--paper); }

.progress { position: absolute; left: 0; right: 0; top: 0; height: 4px; background: var(--field); }
.progress span { display: block; height: 100%; background: var(--in); transition: width 0.15s; }
.progress.endless span { width: 30%; animation: slide 1.1s ease-in-out infinite alternate; }
@keyframes slide { to { margin-left: 70%; } }

.outcome { display: grid; gap: 14px 18px; padding: 18px; border-top: 4px solid var(--verdict); }
@container (min-width: 440px) { .outcome { grid-template-columns: minmax(120px, 3fr) 5fr; } .outcome > .wide { grid-column: 1 / -1; } }
.picture { display: grid; gap: 8px; align-content: start; }
.frame { aspect-ratio: 1; border-radius: 10px; overflow: hidden; background: var(--field); }
@container (max-width: 439px) { .frame { aspect-ratio: 16 / 10; } }
.frame img, .frame canvas { display: block; width: 100%; height: 100%; object-fit: contain; }
.pixelated { image-rendering: pixelated; }
.words { display: grid; gap: 9px; align-content: start; }
.file { color: var(--soft); font-size: 0.84em; overflow-wrap: anywhere; }
.verdict { display: flex; gap: 10px; align-items: center; font-size: 1.45em; font-weight: 700; line-height: 1.15; letter-spacing: -0.01em; color: var(--verdict); }
/* Form and colour both say it: round is familiar, square is not. */
.mark { display: grid; place-items: center; flex: none; width: 1.35em; height: 1.35em; border-radius: 50%; font-size: 0.75em; color: var(--paper); background: var(--verdict); }
[data-verdict='out'] .mark { border-radius: 6px; }
.facts { display: flex; flex-wrap: wrap; gap: 8px 22px; }
dt { color: var(--soft); font-size: 0.8em; }
dd { font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.flag { padding: 8px 12px; border-radius: 9px; background: var(--wash); font-size: 0.9em; }
.actions { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; justify-content: space-between; }

.views { display: flex; flex-wrap: wrap; gap: 4px; }
.views label { position: relative; }
.views input { position: absolute; inset: 0; margin: 0; opacity: 0; cursor: pointer; }
.views span { display: block; padding: 3px 10px; border: 1px solid var(--line); border-radius: 99px; font-size: 0.8em; overflow-wrap: anywhere; }
.views input:checked + span { background: var(--ink); border-color: var(--ink); color: var(--paper); }
.views input:focus-visible + span { outline: 3px solid var(--in); outline-offset: 2px; }

.axis { width: 100%; height: auto; display: block; overflow: visible; }
.axis text { font-size: 15px; fill: var(--soft); text-anchor: middle; font-variant-numeric: tabular-nums; }
@container (max-width: 439px) { .axis text { font-size: 24px; } }
.axis .start { text-anchor: start; }
.axis .end { text-anchor: end; }
.axis .rule { stroke: var(--soft); }
.axis .zone-out { fill: var(--out-wash); }
.axis .zone-in { fill: var(--in-wash); }
.axis .bar-known { fill: var(--known); }
.axis .threshold { stroke: var(--soft); stroke-dasharray: 4 3; }
.needle line { stroke: var(--in); stroke-width: 2.5; }
.needle circle, .axis .needle text { fill: var(--in); }
.axis .needle text { font-weight: 700; }
.needle.out line { stroke: var(--out); }
.needle.out circle, .axis .needle.out text { fill: var(--out); }

.thumbs { display: grid; grid-template-columns: repeat(auto-fill, minmax(44px, 1fr)); gap: 6px; padding: 0 18px 18px; }
.thumb { position: relative; display: block; width: 100%; aspect-ratio: 1; min-height: 0; padding: 0; overflow: hidden; border: 2px solid transparent; background: var(--field); }
.thumb[aria-pressed='true'] { border-color: var(--ink); }
.thumb img { display: block; width: 100%; height: 100%; object-fit: cover; }
.thumb::after { content: ''; position: absolute; right: 3px; bottom: 3px; width: 11px; height: 11px; border: 2px solid var(--paper); border-radius: 50%; background: var(--in); }
.thumb[data-verdict='out']::after { border-radius: 2px; background: var(--out); }
.thumb[data-verdict='error']::after, .thumb[data-verdict='none']::after { background: var(--soft); }

@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
@media (forced-colors: active) { .card { --verdict: CanvasText; } .mark { border: 1px solid; } }
`;

/** @type {CSSStyleSheet | undefined} */
let sheet;

export function styles() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
  }
  return sheet;
}
