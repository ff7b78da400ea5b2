// @ts-check
/** A place for one folder (or many files), and what becomes of them: progress, pause, cancel. */
import { emit, h } from '../dom.js';
import { Pace } from '../pace.js';
import { filesOf, filesOfFolder } from './inputs.js';

export class Folder extends HTMLElement {
  #bar = h('progress', { max: 1, value: 0, hidden: true });
  #status = h('p', { class: 'hint number status', role: 'status' });
  #pause = h('button', { type: 'button', hidden: true, click: () => this.#toggle() }, 'Pause');
  #cancel = h('button', { type: 'button', hidden: true, click: () => this.#work?.cancel() }, 'Cancel');
  /** @type {{ cancel: () => void, pause?: (on: boolean) => void } | null} */
  #work = null;
  /** @type {Pace | null} */
  #pace = null;
  #done = 0;
  #paused = false;

  connectedCallback() {
    if (this.childElementCount > 0) return;
    const { title = 'Drop a folder here', hint = '' } = this.dataset;
    const input = h('input', { type: 'file', webkitdirectory: true, hidden: true, 'data-folder': true, change: () => { this.#arrive(filesOfFolder(input.files)); input.value = ''; } });
    this.#bar.setAttribute('aria-label', title);
    this.append(h('div', { class: 'drop folder' },
      h('p', { class: 'drop-title' }, title), hint && h('p', { class: 'hint' }, hint),
      h('p', { class: 'row centre' }, h('button', { type: 'button', class: 'choose', click: () => input.click() }, 'Choose folder'), this.#pause, this.#cancel),
      this.#bar, this.#status, input));
    this.addEventListener('drop', (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (event.dataTransfer) filesOf(event.dataTransfer).then((files) => this.#arrive(files));
    });
  }

  /** @param {File[]} files */
  #arrive(files) {
    if (this.#work) return; // one after another
    if (files.length === 0) this.say('No image was found there.');
    else emit(this, 'nac-folder', { files });
  }

  /**
   * Something goes on with the files, image by image.
   * @param {number} total
   * @param {{ cancel: () => void, pause?: (on: boolean) => void }} work
   */
  begin(total, work) {
    this.#work = work;
    this.#pace = new Pace(total);
    this.#paused = false;
    this.#bar.hidden = false;
    this.#cancel.hidden = false;
    this.#pause.hidden = !work.pause;
    this.#pause.textContent = 'Pause';
    this.progress(0);
  }

  /** @param {number} done */
  progress(done) {
    this.#done = done;
    this.#bar.value = done / Math.max(1, this.#pace?.total ?? 1);
    this.#status.textContent = `${this.#paused ? 'Paused: ' : ''}${this.#pace?.words(done)}`;
  }

  /** @param {string} text what came of it */
  end(text) {
    this.#work = null;
    for (const part of [this.#bar, this.#cancel, this.#pause]) part.hidden = true;
    this.say(text);
  }

  /** @param {string} text */
  say(text) {
    this.#status.textContent = text;
  }

  #toggle() {
    this.#paused = !this.#paused;
    this.#pause.textContent = this.#paused ? 'Go on' : 'Pause';
    if (this.#paused) this.#pace?.pause();
    else this.#pace?.resume();
    this.#work?.pause?.(this.#paused);
    this.progress(this.#done);
  }
}

customElements.define('nac-folder', Folder);
