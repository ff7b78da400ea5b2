// @ts-check
/** The bundled samples. A static host cannot list a folder, so this is the list; a test holds it against the folder. */

/** @type {{ folder: string, title: string, known: boolean, names: string[] }[]} */
export const SETS = [
  { folder: 'cifar10', title: 'The ten things it knows', known: true, names: ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'] },
  { folder: 'fashion-mnist', title: 'Clothes', known: false, names: ['ankle-boot', 'coat', 'pullover', 'sandal', 'shirt', 'trousers'] },
  { folder: 'mnist', title: 'Handwriting', known: false, names: ['digit-0', 'digit-1', 'digit-2', 'digit-4', 'digit-5', 'digit-7'] },
  { folder: 'textures', title: 'Textures', known: false, names: ['bricks', 'checkerboard', 'gradient', 'noise', 'rings', 'stripes'] },
];
