// A page that nobody watches. Playwright has the debugging protocol report all of a page's network, for which Chromium keeps a copy of every body and
// puts it together at the end, on the page's own thread: a good part of the time, with a model of 11 MB. No visitor has that. Here is but a tab in a
// context of its own, and the protocol's runtime to evaluate functions in it.

/** @typedef {import('playwright-core').Browser} Browser */
/** @typedef {{ resolve: (result: any) => void, reject: (error: Error) => void }} Waiting */

export class BarePage {
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();
  #asked = 0;
  #cdp;
  #context;
  #session;

  /** @param {import('playwright-core').CDPSession} cdp of the browser @param {string} context @param {string} session */
  constructor(cdp, context, session) {
    this.#cdp = cdp;
    this.#context = context;
    this.#session = session;
    cdp.on('Target.receivedMessageFromTarget', (event) => event.sessionId === session && this.#receive(JSON.parse(event.message)));
  }

  /** @param {Browser} browser @param {string} url */
  static async open(browser, url) {
    const cdp = await browser.newBrowserCDPSession();
    const { browserContextId } = await cdp.send('Target.createBrowserContext');
    const { targetId } = await cdp.send('Target.createTarget', { url, browserContextId });
    const { sessionId } = await cdp.send('Target.attachToTarget', { targetId, flatten: false });
    return new BarePage(cdp, browserContextId, sessionId);
  }

  /** @param {{ id?: number, result?: any, error?: { message: string } }} message */
  #receive({ id, result, error }) {
    const waiting = this.#waiting.get(id ?? 0);
    this.#waiting.delete(id ?? 0);
    if (error) waiting?.reject(new Error(error.message));
    else waiting?.resolve(result);
  }

  /** @param {string} method @param {object} params @returns {Promise<any>} */
  #send(method, params) {
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#cdp.send('Target.sendMessageToTarget', { sessionId: this.#session, message: JSON.stringify({ id, method, params }) }).catch(reject);
    });
  }

  /**
   * What the function returns, or its promise resolves with, in the page.
   * @template T
   * @param {(argument?: any) => T | Promise<T>} work @param {any} [argument]
   * @returns {Promise<T>}
   */
  async evaluate(work, argument) {
    const expression = `(${work})(${JSON.stringify(argument)})`;
    const { result, exceptionDetails } = await this.#send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Goes elsewhere; whether it has come there, `evaluate` tells. @param {string} url */
  async visit(url) {
    await this.#send('Page.navigate', { url });
  }

  async close() {
    await this.#cdp.send('Target.disposeBrowserContext', { browserContextId: this.#context });
    await this.#cdp.detach();
  }
}
