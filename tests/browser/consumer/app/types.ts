// A program as its author's compiler sees it: `tsc --strict`.
import { buildProfile, loadDetector, NacError, type Detector, type DetectorInfo, type Progress, type Result } from 'nac-wasm';
import { connectFrame, serveFrame, type NacDetector } from 'nac-wasm/element';

async function score(files: File[]): Promise<Result[]> {
  const detector: Detector = await loadDetector({
    model: new URL('https://example.org/model.onnx'),
    profile: new Uint8Array(8),
    wasm: { simd: new WebAssembly.Module(new Uint8Array(8)), relaxed: '/relaxed.wasm' },
    onProgress: ({ stage, loaded, total }: Progress) => console.log(stage, loaded / (total ?? loaded)),
    signal: AbortSignal.timeout(1000),
  });
  const info: DetectorInfo = detector.info;
  const results: Result[] = [];
  for await (const answer of detector.scoreAll(files, { explain: true })) {
    if (answer.error) console.log(answer.file, answer.error.code);
    else results.push(answer);
  }
  const one = await detector.score(files[0]!);
  const verdict: 'in' | 'out' | null = one.verdict;
  const p: number | null = one.pValue;
  // @ts-expect-error: null where the profile is not calibrated
  const q: number = one.pValue;
  // @ts-expect-error: there is no such option
  await detector.score(files[0]!, { explian: true });
  // @ts-expect-error: a detector needs a profile
  await loadDetector({ model: 'model.onnx' });
  detector.close();
  console.log(info.profile.layers[0]?.alpha, verdict, p, q);
  return results;
}

async function profile(images: AsyncIterable<Blob>): Promise<void> {
  try {
    const bytes: Uint8Array = await buildProfile({ model: 'model.onnx', images, layers: 'auto', preprocess: 'imagenet', holdoutFraction: 0.1 });
    console.log(bytes.length);
  } catch (error) {
    if (error instanceof NacError) console.log(error.code);
  }
}

const element: NacDetector = document.createElement('nac-detector');
element.model = new Blob([]);
element.addEventListener('nac-result', ({ detail: { result, file } }) => console.log(result.score.toFixed(3), file?.name));
element.addEventListener('click', (event) => console.log(event.clientX));
// @ts-expect-error: it is read only
element.result = null;
serveFrame(element, { origins: ['https://example.org'] })();
connectFrame(document.createElement('iframe'), { onResult: ({ label }) => console.log(label) }).close();
console.log(score, profile);
