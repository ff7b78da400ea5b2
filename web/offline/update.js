// @ts-check
/** Says that a newer release is there, and changes to it when asked. */
import { h } from '../dom.js';
import { ask, registration, release } from './release.js';

const HOUR = 3_600_000;

export class Update extends HTMLElement {
  async connectedCallback() {
    const found = await registration;
    if (!found) return;
    this.#watch(found);
    if (found.waiting) this.#offer(found);
    navigator.serviceWorker.addEventListener('controllerchange', () => this.#compare());
    this.#compare();
    let last = performance.now();
    document.addEventListener('visibilitychange', () => {
      if (document.hidden || performance.now() - last < HOUR) return;
      last = performance.now();
      found.update().catch(() => {}); // no network
    });
  }

  /** @param {ServiceWorkerRegistration} found */
  #watch(found) {
    const follow = () => {
      const { installing } = found;
      installing?.addEventListener('statechange', () => {
        if (installing.state === 'installed' && navigator.serviceWorker.controller) this.#offer(found);
      });
    };
    follow();
    found.addEventListener('updatefound', follow);
  }

  /** A tab that was opened before, or past the worker, can differ from what the worker serves now. */
  async #compare() {
    const { controller } = navigator.serviceWorker;
    if (controller && (await ask(controller, { type: 'version' })) !== release)
      this.#show('This tab runs another version than the one that is installed.', 'Reload', () => location.reload());
  }

  /** @param {ServiceWorkerRegistration} found */
  #offer(found) {
    this.#show('A new version of this page is ready.', 'Change to it', async () => {
      if (!found.waiting) return location.reload();
      navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
      const others = await ask(found.waiting, { type: 'take-over' });
      if (others > 0) this.#show(`${others === 1 ? 'Another tab' : `${others} other tabs`} still run the old version. Close ${others === 1 ? 'it' : 'them'} first, so that the two don’t mix.`, 'Try again', () => this.#offer(found));
    });
  }

  /** @param {string} text @param {string} action @param {() => void} act */
  #show(text, action, act) {
    this.hidden = false;
    this.replaceChildren(h('p', { role: 'status' }, text), h('button', { type: 'button', class: 'primary', click: act }, action));
  }
}

customElements.define('nac-update', Update);
