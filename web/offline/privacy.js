// @ts-check
/**
 * What a suspicious visitor can check in the developer tools, said in the page. The policy forbids other servers; requests
 * to them are counted all the same, and so is every byte that goes out in the body of a request, by the service worker
 * through which all of them pass.
 */
import { h, replace } from '../dom.js';
import { bytes } from '../words.js';
import { registration } from './release.js';

export class Privacy extends HTMLElement {
  #sent = 0;

  async connectedCallback() {
    this.#show();
    new PerformanceObserver(() => this.#show()).observe({ type: 'resource' });
    if (!(await registration)) return;
    navigator.serviceWorker.addEventListener('message', ({ data }) => {
      if (data.type === 'sent') this.#sent += data.bytes;
      this.#show();
    });
    navigator.serviceWorker.addEventListener('controllerchange', () => this.#show());
    this.#show();
  }

  #show() {
    const elsewhere = performance.getEntriesByType('resource').filter(({ name }) => !name.startsWith(location.origin) && !/^(blob|data):/.test(name)).length;
    const watched = navigator.serviceWorker?.controller;
    replace(this,
      h('p', null, 'Your images stay in this tab: the page’s security policy lets it talk to no other server.'),
      h('dl', { class: 'ledger' },
        h('div', null, h('dt', null, 'requests to other servers'), h('dd', { 'data-count': 'elsewhere' }, elsewhere)),
        watched && h('div', null, h('dt', null, 'sent to this one'), h('dd', { 'data-count': 'sent' }, bytes(this.#sent))),
        watched && h('div', null, h('dt', null, 'without a network'), h('dd', null, 'works'))));
  }
}

customElements.define('nac-privacy', Privacy);
