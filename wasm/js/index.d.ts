/** Types of the package, for browsers (index.js) and Node (node.js) alike. */

// A program for Node may be compiled without the DOM's types, which these three belong to.
type WasmModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer M } } } ? M : object;
type NamedFile = typeof globalThis extends { File: { prototype: infer F } } ? F : Blob & { readonly name: string };
type WebWorker = typeof globalThis extends { Worker: { prototype: infer W } } ? W : object;

export type Source = URL | string | Blob | ArrayBuffer | ArrayBufferView;
/**
 * A model, and the files that it names for its weights (ONNX external data: model.onnx.data). Alone: they are looked for beside it, where it has an
 * address. Files: they are found among these, by their names; what else is there does not matter. Or with a source for each of the names.
 */
export type ModelSource = Source | NamedFile[] | { model: Source; files: Record<string, Source> };
export type Variant = 'simd' | 'relaxed';
export type Pool = 'sum' | 'nhwc' | 'mean' | 'cls' | 'none';

/** A tap is a tensor of the ONNX model; `pool` is how it becomes one number a neuron. */
export interface Tap {
  name: string;
  pool: Pool;
}

export interface Layer extends Tap {
  neurons: number;
  /** Steepness of the state's sigmoid. */
  alpha: number;
  /** Edges of the bins. */
  M: number;
  /** Images that fill a bin. */
  O: number;
}

/** A File or Blob, encoded bytes (PNG, JPEG), pixels (RGB or RGBA), a canvas's ImageData, or an image that is loaded when its turn comes. */
export type ImageInput = Blob | ArrayBuffer | ArrayBufferView | Pixels | CanvasPixels | LazyImage;
export interface Pixels {
  name?: string;
  pixels: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
  decoder?: 'core' | 'browser';
}
export interface CanvasPixels {
  data: Uint8ClampedArray;
  width: number;
  height: number;
}
export interface LazyImage {
  name: string;
  group?: string;
  /** `decode` reads PNG and JPEG, to RGB. */
  load: (decode: (bytes: Uint8Array) => Promise<{ pixels: Uint8Array; width: number; height: number }>) => Promise<Uint8Array | Pixels | Blob>;
}

export interface Progress {
  /** model: with the files that it names. */
  stage: 'wasm' | 'model' | 'profile' | 'images';
  loaded: number;
  /** null where it is not known */
  total: number | null;
}

/** What the pool of workers needs of one; see adoptWorker. */
export interface HostWorker {
  post(message: unknown, transfer?: unknown[]): void;
  close(): void;
}
export interface WorkerListeners {
  message: (message: any) => void;
  failure: (reason: string) => void;
}

export interface CommonOptions {
  /** Where the WebAssembly binary is; without it, beside the package. A pair is chosen from by what the browser can run. */
  wasm?: Source | WasmModule | { simd: Source | WasmModule; relaxed?: Source | WasmModule };
  variant?: Variant | 'auto';
  /** At most; 0: none, in this thread. Without it: cores - 1, no more than 4. */
  workers?: number;
  /** Milliseconds that one image may take, or a worker to start, before its worker is replaced; 60000. Infinity: for ever. Without workers nothing can be stopped. */
  timeout?: number;
  createWorker?: (listeners: WorkerListeners) => HostWorker;
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

/** A verdict and what it stands on. */
export interface Judgement {
  verdict: 'in' | 'out';
  /** "out" means score < threshold. */
  threshold: number;
  /** Share of in-distribution images that are as unfamiliar as this one. */
  pValue: number;
}

/** Schema "nac.result/1". */
export interface Result {
  schema: 'nac.result/1';
  file: string;
  /** null when the profile is not calibrated, like `threshold` and `pValue`. */
  verdict: 'in' | 'out' | null;
  /** 0..1, high = in-distribution. */
  score: number;
  /** "out" means score < threshold. */
  threshold: number | null;
  /** Share of in-distribution images that are as unfamiliar as this one. */
  pValue: number | null;
  /**
   * The same among in-distribution images that are taken for the same class: false alarms then keep their promise class by class, at the
   * price of missing more of what is out. null where fewer than 4 / falseAlarm calibration images (80 for 5 %) are of the class.
   */
  byClass: Judgement | null;
  label: string;
  classIndex: number;
  probability: number;
  top: { label: string; classIndex: number; probability: number }[];
  layers: { name: string; neurons: number; score: number }[];
  /** All high = in-distribution. */
  baselines: { msp: number; energy: number; maxLogit: number };
  /** At the profile's rate of false alarms: a baseline says "out" below its own. null where the profile has none. */
  baselineThresholds: { msp: number | null; energy: number | null; maxLogit: number | null } | null;
  ms: { decode: number; preprocess: number; forward: number; backward: number; score: number };
  decoder: 'core' | 'browser';
  variant: string;
  explanation?: Explanation;
}

/** Of one pass: gflops counts a multiply-add as two operations; null where there is none. */
export interface Time {
  ms: number;
  gflops: number | null;
}
/** `timings` in what `nac score --timings --json` prints: the shortest of `rounds`, layer by layer in the order of the forward pass. */
export interface Timings {
  variant: string;
  rounds: number;
  forward: Time;
  backward: Time;
  /** null: the pass does nothing there. */
  layers: { name: string; op: string; forward: Time | null; backward: Time | null }[];
}

export interface Explanation {
  layers: {
    name: string;
    /** Least covered first. coverage 0..1; bin -1: none. */
    neurons: { neuron: number; coverage: number; state: number; z: number; g: number; bin: number }[];
    /** Of all neurons, in the network's order: 0 (never in this state) .. 1 (often). */
    coverage: Float32Array;
    /** Row by row, how much each position contributes to uncovered states; null where the layer has no positions. */
    map: { width: number; height: number; values: Float32Array } | null;
  }[];
  /** What the network saw, RGB. */
  view: { width: number; height: number; pixels: Uint8Array };
}

export interface DetectorInfo {
  variant: string;
  /** Of the model's file; of a model with files for its weights, of all of them: see nac_profile_check_model in nac.h. */
  sha256: string;
  labels?: string[];
  classes?: number;
  preprocess?: Record<string, any>;
  memoryBytes: number;
  model: Record<string, any>;
  taps?: (Tap & { neurons: number })[];
  profile: { layers: Layer[]; images: number; threshold: number | null; falseAlarm: number | null; calibration: Float32Array; model: any; provenance: any; selfTest?: SelfTest };
}

export interface ScoreOptions {
  explain?: boolean;
  signal?: AbortSignal;
}

export class Detector {
  private constructor();
  readonly info: DetectorInfo;
  /** Images worth having under way at once: two a worker. */
  readonly window: number;
  score(input: ImageInput, options?: ScoreOptions): Promise<Result>;
  /** Results in the order of `files`. An image that cannot be read yields { file, error }. Sprites (`name.32x32.png`) yield a result a tile. */
  scoreAll(
    files: Iterable<ImageInput> | AsyncIterable<ImageInput>,
    options?: ScoreOptions,
  ): AsyncGenerator<(Result & { error?: undefined }) | { file: string; error: NacError }, void, undefined>;
  /** Whether this machine computes what the one did that built the profile; null when the profile has no test. Also warms up. */
  selfTest(options?: { signal?: AbortSignal }): Promise<{ ok: boolean; expected: SelfTest; score: number; maxLogit: number } | null>;
  /** How often in-distribution images put neurons of one layer into each bin. */
  histograms(layer: number, neurons: number[], options?: { signal?: AbortSignal }): Promise<Histograms>;
  /** Metrics of two sets of scores, with the central 95 % of them over resampled images. */
  metrics(id: Float32Array, ood: Float32Array, options?: { rounds?: number; seed?: number; signal?: AbortSignal }): Promise<Measured>;
  /** The pixels of any image that this host reads: RGB, or RGBA where the browser decoded it. */
  pixels(input: ImageInput): Promise<Pixels>;
  /** The same of a PNG or JPEG alone: always RGB. */
  decode(bytes: Uint8Array): Promise<{ pixels: Uint8Array; width: number; height: number }>;
  close(): void;
}

/** OOD is the positive class (OpenOOD); fpr95IdPositive is the ODIN paper's convention. */
export interface Metrics {
  auroc: number;
  fpr95: number;
  fpr95IdPositive: number;
  auprIn: number;
  auprOut: number;
}
export type Measured = Metrics & { ci: Record<keyof Metrics, [number, number]> };

/**
 * By method, one an image, all high = in-distribution: nac, msp, maxLogit, energy, entropy, gen; gradNorm where the profile has the
 * classifier's input.
 */
export type Scores = Record<string, Float32Array>;
export interface ScoredSet {
  images: number;
  /** Left out, because the profile was built or calibrated on them. */
  seen: number;
  /** Share of "out"; null without a threshold. */
  flagged: number | null;
  /** Where every image's `group` is a label. */
  accuracy?: number;
  /** What `gradNorm` looks at; absent when there is no image. */
  features?: { layer: string; classifierInput: boolean };
  scores: Scores;
}

/** Scores a set for an evaluation. An image that the profile knows ends it (MISMATCH), or is left out with `dropSeen`. */
export function scoreSet(
  detector: Detector,
  images: Iterable<ImageInput> | AsyncIterable<ImageInput>,
  options?: { dropSeen?: boolean; signal?: AbortSignal; onError?: (file: string, error: Error) => void; onProgress?: () => void },
): Promise<ScoredSet>;

/** Metrics of every method that both sets were scored with. */
export function compareSets(
  detector: Detector,
  id: Scores,
  ood: Scores,
  options?: { rounds?: number; seed?: number; signal?: AbortSignal },
): Promise<Record<string, Measured>>;

/** counts[i][bin] of neurons[i]; bin is [edges[bin], edges[bin + 1]) of the state. */
export interface Histograms {
  edges: Float64Array;
  counts: Uint32Array[];
}

export interface SelfTest {
  pattern: string;
  score: number;
  maxLogit: number;
}

/** Loads a model and its profile. The profile must have been made of this model (MISMATCH otherwise). */
export function loadDetector(options: CommonOptions & { model: ModelSource; profile: Source }): Promise<Detector>;

export interface BuildOptions extends CommonOptions {
  model: ModelSource;
  /** In-distribution images, right and wrong classified ones alike. */
  images: Iterable<ImageInput> | AsyncIterable<ImageInput>;
  /** Images for the threshold; those that are in `images` too are left out. */
  holdout?: Iterable<ImageInput> | AsyncIterable<ImageInput>;
  /** Without `holdout`: the share of `images` to hold out (0.2); 0: no threshold. */
  holdoutFraction?: number;
  /** Taps: "name", "name=KIND" or { name, pool }. */
  layers?: 'auto' | (string | Tap)[];
  /** "imagenet" (default), "cifar10", "tf", or the JSON form. */
  preprocess?: string | Record<string, any>;
  /** One a layer, or one for all. */
  alpha?: number[];
  bins?: number[];
  fill?: number[];
  /** Share of in-distribution images that the threshold flags (0.05). */
  falseAlarm?: number;
  labels?: string[];
  modelName?: string;
  provenance?: Record<string, any>;
  seed?: number;
  /** An image that cannot be read; without it building ends there. */
  onError?: (file: string, error: Error) => void;
}

/** Counts the states of in-distribution images and calibrates the threshold: the bytes of a profile (safetensors). */
export function buildProfile(options: BuildOptions): Promise<Uint8Array>;

/** One value a layer. */
export interface Settings {
  /** Which of the taps; all of them without it. */
  layers?: number[];
  alpha: number[];
  bins: number[];
  fill: number[];
}
export interface CollectOptions {
  signal?: AbortSignal;
  onProgress?: () => void;
  onError?: (file: string, error: Error) => void;
}

/** States of images, kept, so that settings of a profile can be tried without running the network again. */
export class Workbench {
  private constructor();
  readonly info: Omit<DetectorInfo, 'sha256' | 'profile'>;
  readonly counts: Record<'profile' | 'held' | 'ood', number>;
  /** Adds images: to count, held out (for the threshold and for comparisons), or outliers (every call is a set). */
  collect(part: 'profile' | 'held' | 'ood', images: Iterable<ImageInput> | AsyncIterable<ImageInput>, options?: CollectOptions): Promise<void>;
  /** Outliers made of in-distribution images, where there are no real ones: up to `limit` of every kind. */
  collectSynthetic(images: ImageInput[], limit: number, options?: CollectOptions): Promise<void>;
  clear(part: 'profile' | 'held' | 'ood'): void;
  defaults(): Settings;
  /** The profile of these settings, and how it parts held-out images from outliers. */
  measure(settings: Settings, falseAlarm?: number): Promise<{
    images: number;
    layers: Layer[];
    threshold: number | null;
    falseAlarm: number | null;
    /** Sorted scores behind the threshold. */
    calibration: Float32Array;
    /** Scores of the other held-out images, and of the outliers. */
    id: Float32Array;
    ood: Float32Array;
    /** null where there are no two sets to compare; `energy`: the baseline on the same images. */
    metrics: Metrics | null;
    energy: Metrics | null;
  }>;
  /** Layers and settings that part held-out images and outliers best; the defaults where a search does no better on sets it has not seen. */
  search(options?: { onProgress?: (done: number, total: number) => void }): {
    settings: Settings;
    auroc: number;
    aurocOfDefaults: number;
    aurocUnseen: number;
    defaultsKept: boolean;
    sets: { auroc: number; aurocUnseen: number; aurocOfDefaults: number }[];
  };
  save(settings: Settings, options?: { falseAlarm?: number; labels?: string[]; provenance?: Record<string, any> }): Promise<Uint8Array>;
  close(): void;
}

export function openWorkbench(
  options: CommonOptions & { model: ModelSource; layers?: BuildOptions['layers']; preprocess?: string | Record<string, any> },
): Promise<Workbench>;

/** `code`: MALFORMED, UNSUPPORTED, MISMATCH, LIMIT_EXCEEDED, NOT_FINITE, INVALID_ARGUMENT, OUT_OF_MEMORY, INTERNAL; NO_SIMD, NOT_FOUND, WORKER_FAILED, TIMEOUT, CLOSED. */
export class NacError extends Error {
  constructor(code: string, message: string, files?: string[]);
  code: string;
  /** Of NOT_FOUND, where a model lacks files that it names for its weights: these names. */
  files?: string[];
}

export function supports(variant: Variant): boolean;
export function chooseVariant(asked?: Variant | 'auto'): Variant;

/** Makes a Worker that the page has created itself usable as `createWorker`'s result. In browsers only. */
export function adoptWorker(worker: WebWorker, listeners: WorkerListeners): HostWorker;
