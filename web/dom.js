// @ts-check
/** The page's few helpers for the DOM. No markup is ever parsed from text, so file names cannot become elements. */

const SVG = 'http://www.w3.org/2000/svg';

/** @typedef {Node | string | number | null | undefined | false | any[]} Child lists may hold lists */

/**
 * @param {Element} element
 * @param {Record<string, any> | null} attributes a function is a listener, true an empty attribute, null none
 * @param {Child[]} children
 */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(.../** @type {any[]} */ (children).flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false).map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/**
 * An HTML element.
 * @param {string} name
 * @param {Record<string, any> | null} [attributes]
 * @param {...Child} children
 * @returns {any}
 */
export const h = (name, attributes = null, ...children) => fill(document.createElement(name), attributes, children);

/**
 * An SVG element.
 * @param {string} name
 * @param {Record<string, any> | null} [attributes]
 * @param {...Child} children
 * @returns {any}
 */
export const s = (name, attributes = null, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

/**
 * Puts children in place of those that are there.
 * @param {Element} element
 * @param {...Child} children
 */
export function replace(element, ...children) {
  element.replaceChildren();
  fill(element, null, children);
}

/**
 * An event that bubbles out of a custom element.
 * @param {Element} element
 * @param {string} type
 * @param {any} [detail]
 */
export const emit = (element, type, detail) => element.dispatchEvent(new CustomEvent(type, { bubbles: true, composed: true, detail }));

/** Tells screen readers; what was said before is replaced. @param {string} text */
export function announce(text) {
  const live = document.getElementById('live');
  if (live) live.textContent = text;
}

/** A CSS colour of the theme in force. @param {string} name "--out" */
export const themeColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
