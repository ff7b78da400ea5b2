/** Scores one image by the detector and by the element, on workers. */
export async function tryOut(loadDetector, options) {
  const files = { model: './models/cifar10-resnet18.onnx', profile: './models/cifar10-resnet18.safetensors' };
  const image = await (await fetch('./models/ship.png')).blob();
  const detector = await loadDetector({ ...files, ...options, variant: 'simd', workers: 1 });
  const { ms, file, ...result } = await detector.score(image);
  detector.close();
  const element = Object.assign(document.querySelector('nac-detector'), files, options);
  element.setAttribute('variant', 'simd');
  return { result, shown: (await element.score(image)).score };
}
