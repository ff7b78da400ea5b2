// @ts-check
/** Work for where a slider is now: positions that it passes while there is work going on are skipped. */
export class Latest {
  #busy = false;
  #again = false;
  #work;
  #fail;

  /**
   * @param {() => Promise<void>} work
   * @param {(message: string) => void} fail
   */
  constructor(work, fail) {
    this.#work = work;
    this.#fail = fail;
  }

  /** Something has moved. */
  async changed() {
    this.#again = true;
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#again) {
        this.#again = false;
        await this.#work();
      }
    } catch (error) {
      this.#fail(String(/** @type {any} */ (error)?.message ?? error));
    } finally {
      this.#busy = false;
    }
  }
}
