/** Types of "nac-wasm/element". Importing it defines <nac-detector>. */
import type { Detector, DetectorInfo, ImageInput, ModelSource, NacError, Progress, Result, Source, CommonOptions } from '../../wasm/js/index.js';

export interface NacDetectorEvents {
  /** The engine is there. */
  'nac-ready': CustomEvent<{ detector: Detector; info: DetectorInfo }>;
  /** Of the download (stages wasm, model, profile) and of several images (stage images). */
  'nac-progress': CustomEvent<Progress>;
  /** An image has been scored. `file` is null where it did not come as a File. */
  'nac-result': CustomEvent<{ result: Result; file: File | null }>;
  /** An image could not be read, or the engine could not be loaded. */
  'nac-error': CustomEvent<{ error: NacError; file: File | null }>;
}

/** Attributes: model, profile, wasm, variant, workers, loading="lazy", multiple, explain, disabled. */
export class NacDetector extends HTMLElement {
  /** As attributes these are addresses; as properties also files or bytes, and a model with the files that it names for its weights. */
  model: ModelSource | null;
  profile: Source | null;
  /** As an attribute: one address, or (with a slash at its end) the folder of both binaries. */
  get wasm(): CommonOptions['wasm'] | string | null;
  set wasm(value: CommonOptions['wasm'] | string | null);
  createWorker: CommonOptions['createWorker'] | null;
  multiple: boolean;
  explain: boolean;
  disabled: boolean;
  /** null until it is ready. Set your own, and it is used and left open. */
  get detector(): Detector | null;
  set detector(value: Detector | null);
  /** Of the image that is shown. */
  readonly result: Result | null;
  /** Of all since the last clear(). */
  readonly results: Result[];
  /** Starts the engine where that has not happened (loading="lazy"). */
  load(): Promise<Detector>;
  /** Scores an image and shows it. Rejects with NacError, or AbortError when another image took its place. */
  score(image: ImageInput, options?: { name?: string; signal?: AbortSignal }): Promise<Result>;
  /** Opens the file picker. */
  choose(): void;
  /** Ends what is under way and shows the drop zone again. */
  clear(): void;
  addEventListener<K extends keyof NacDetectorEvents>(type: K, listener: (this: NacDetector, event: NacDetectorEvents[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener<K extends keyof HTMLElementEventMap>(type: K, listener: (this: NacDetector, event: HTMLElementEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

/** In the page inside an <iframe>: answers the page around it. Returns a function that ends it. */
export function serveFrame(element: NacDetector, options?: { origins?: string[] }): () => void;

export interface FrameInfo {
  labels: string[] | null;
  variant: string;
  layers: { name: string; neurons: number }[];
  threshold: number | null;
}

export interface FrameConnection {
  readonly ready: Promise<FrameInfo>;
  score(image: Blob | ArrayBuffer | ArrayBufferView, options?: { name?: string }): Promise<Result>;
  clear(): void;
  close(): void;
}

/** In the page around an <iframe>. */
export function connectFrame(
  iframe: HTMLIFrameElement,
  options?: {
    origin?: string;
    onResult?: (result: Result) => void;
    onError?: (error: { code: string; message: string }) => void;
    onProgress?: (progress: Progress) => void;
    /** What the page inside needs, in pixels. */
    onSize?: (height: number) => void;
  },
): FrameConnection;

declare global {
  interface HTMLElementTagNameMap {
    'nac-detector': NacDetector;
  }
}
