#!/usr/bin/env python3
"""Regenerates tests/golden/image: small generated images, and what Pillow and torchvision make of them.

    apt-get install python3-pil python3-torchvision libjpeg-turbo-progs
    /usr/bin/python3 tests/oracle/image_goldens.py

Made with Pillow 9.4.0, libjpeg-turbo 2.1.5 and torchvision 0.14.1. cases.txt has one case a line, with the CRC-32 of the
bytes that must come out:

    decode FILE ALPHA EXIF WIDTH HEIGHT CRC      RGB8 of Pillow's convert("RGB") (or blend), exif_transpose for EXIF = apply
    resize FILE WIDTH HEIGHT FILTER CRC          RGB8 of Image.resize
    tensor FILE PREPROCESS WIDTH HEIGHT CRC      float32 [H, W, 3] of torchvision's transforms; PREPROCESS is a preset or FILE.json
"""
import io
import json
import os
import struct
import subprocess
import zlib

import numpy as np
from PIL import Image, ImageOps
from torchvision import transforms

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden', 'image')
FILTERS = {'bilinear': Image.BILINEAR, 'bicubic': Image.BICUBIC}
cases = []


def path(name):
    return os.path.join(FOLDER, name)


def write(name, data):
    with open(path(name), 'wb') as file:
        file.write(data)


def crc(array):
    return '%08x' % zlib.crc32(np.ascontiguousarray(array).tobytes())


def pattern(width, height, channels=3, seed=1):
    """Gradients and waves with a patch of noise and hard edges: everything that a resampler can get wrong, but compressible."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for c in range(channels):
        wave = 127 + 90 * np.sin(x / (5 + 2 * c) + y / 11) + 40 * np.cos(y / (3 + c))
        wave[(x // 9 + y // 7) % 5 == c] = 255 * (c % 2)
        planes.append(wave)
    image = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
    h, w = (height + 2) // 3, (width + 2) // 3
    image[:h, :w] = random.integers(0, 256, (h, w, channels))
    return image


# ---- PNG, written here because Pillow writes neither Adam7 nor 16-bit colour ---------------------------------

def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def filtered(rows, step):
    """Rows of bytes -> filtered rows, taking the five filters in turn."""
    out, above = b'', bytes(len(rows[0]))
    for number, row in enumerate(rows):
        kind = (number + 4) % 5
        out += bytes([kind])
        for i, value in enumerate(row):
            left = row[i - step] if i >= step else 0
            up, corner = above[i], above[i - step] if i >= step else 0
            estimate = left + up - corner
            nearest = min((abs(estimate - left), 0, left), (abs(estimate - up), 1, up), (abs(estimate - corner), 2, corner))[2]
            out += bytes([(value - (0, left, up, (left + up) // 2, nearest)[kind]) & 255])
        above = row
    return out


def pack(samples, depth):
    """[width, samples] -> the bytes of one row."""
    flat = samples.reshape(-1)
    if depth == 16:
        return flat.astype('>u2').tobytes()
    if depth == 8:
        return flat.astype(np.uint8).tobytes()
    bits = ''.join(format(int(v), '0%db' % depth) for v in flat)
    bits += '0' * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def png(pixels, depth, color, interlaced=False, before=b'', after=b'', pieces=1):
    """pixels: [height, width, samples]. before/after: chunks on either side of IDAT."""
    height, width, samples = pixels.shape
    step = max(1, samples * depth // 8)
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b''
    for x, y, dx, dy in passes:
        part = pixels[y::dy, x::dx]
        if part.size:
            raw += filtered([pack(row, depth) for row in part], step)
    data = zlib.compress(raw, 9)
    cut = -(-len(data) // pieces)
    header = struct.pack('>IIBBBBB', width, height, depth, color, 0, 0, int(interlaced))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + before
            + b''.join(chunk(b'IDAT', data[i:i + cut]) for i in range(0, len(data), cut)) + after + chunk(b'IEND', b''))


def blend(image, alpha):
    if alpha == 'drop':
        return image.convert('RGB')
    rgba = image.convert('RGBA')
    ground = Image.new('RGB', image.size, alpha)
    ground.paste(rgba.convert('RGB'), mask=rgba.getchannel('A'))
    return ground


def decode(name, alpha='drop', exif='ignore', expected=None):
    if expected is None:
        image = Image.open(path(name))
        expected = np.array(blend(ImageOps.exif_transpose(image) if exif == 'apply' else image, alpha))
    cases.append(f'decode {name} {alpha} {exif} {expected.shape[1]} {expected.shape[0]} {crc(expected)}')


def png_cases():
    rgb, rgba = pattern(29, 23), pattern(29, 23, 4, 2)
    for interlaced in (False, True):
        tail = '-adam7' if interlaced else ''
        write(f'rgb8{tail}.png', png(rgb, 8, 2, interlaced, pieces=3))
        write(f'rgba8{tail}.png', png(rgba, 8, 6, interlaced))
        wide = (rgb.astype(np.uint16) << 8) + pattern(29, 23, 3, 3)
        write(f'rgb16{tail}.png', png(wide, 16, 2, interlaced))
        write(f'rgba16{tail}.png', png((rgba.astype(np.uint16) << 8) + 77, 16, 6, interlaced))
        write(f'graya8{tail}.png', png(rgba[:, :, 2:], 8, 4, interlaced))
        write(f'graya16{tail}.png', png((rgba[:, :, 2:].astype(np.uint16) << 8) + 200, 16, 4, interlaced))
        for name in ('rgb8', 'rgba8', 'rgb16', 'rgba16', 'graya8'):
            for alpha in ('drop',) if name in ('rgb8', 'rgb16') else ('drop', 'white', 'black'):
                decode(f'{name}{tail}.png', alpha)
        gray16 = wide[:, :, :1] >> (np.arange(23).reshape(-1, 1, 1) % 3 * 4)  # Pillow clips at 255
        write(f'gray16{tail}.png', png(gray16, 16, 0, interlaced))
        decode(f'gray16{tail}.png')
        decode(f'graya16{tail}.png')
        for depth in (1, 2, 4, 8):
            gray = rgb[:, :, :1] >> (8 - depth)
            write(f'gray{depth}{tail}.png', png(gray, depth, 0, interlaced))
            decode(f'gray{depth}{tail}.png')
            colors = pattern(16, 16, 3, 4).reshape(-1, 3)[:1 << depth]
            palette = chunk(b'PLTE', colors.tobytes())
            clear = chunk(b'tRNS', bytes(range(0, 256, 256 // len(colors)))[:len(colors)])
            write(f'palette{depth}{tail}.png', png(gray, depth, 3, interlaced, palette))
            write(f'palette{depth}-trns{tail}.png', png(gray, depth, 3, interlaced, palette + clear))
            decode(f'palette{depth}{tail}.png')
            for alpha in ('drop', 'white', 'black'):
                decode(f'palette{depth}-trns{tail}.png', alpha)
    gray = rgb[:, :, :1] >> 4
    write('gray4-trns.png', png(gray, 4, 0, before=chunk(b'tRNS', struct.pack('>H', int(gray[9, 9, 0])))))
    decode('gray4-trns.png')
    decode('gray4-trns.png', 'white', expected=np.repeat(np.where(gray == gray[9, 9, 0], 255, gray * 17).astype(np.uint8), 3, 2))
    keyed = rgb.copy()
    keyed[12:20, 15:24] = 7, 90, 200
    write('rgb8-trns.png', png(keyed, 8, 2, before=chunk(b'tRNS', struct.pack('>3H', 7, 90, 200))))
    decode('rgb8-trns.png')
    clear = (keyed == (7, 90, 200)).all(-1, keepdims=True)
    decode('rgb8-trns.png', 'white', expected=np.where(clear, 255, keyed).astype(np.uint8))
    for width, height in ((1, 1), (1, 9), (9, 1), (3, 5), (2, 2)):
        write(f'tiny-{width}x{height}-adam7.png', png(pattern(width, height), 8, 2, True))
        decode(f'tiny-{width}x{height}-adam7.png')


# ---- EXIF ---------------------------------------------------------------------------------------------------

def tiff(orientation, order):
    entries = [(0x010F, 2, 4, b'abc\0'), (0x0112, 3, 1, struct.pack(order + 'HH', orientation, 0))]
    block = (b'II' if order == '<' else b'MM') + struct.pack(order + 'HIH', 42, 8, len(entries))
    for tag, kind, count, value in entries:
        block += struct.pack(order + 'HHI', tag, kind, count) + value
    return block + struct.pack(order + 'I', 0)


def jpeg(pixels, **options):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, 'JPEG', **options)
    return data.getvalue()


def exif_cases():
    small = pattern(21, 13, 3, 5)
    plain = jpeg(small, quality=90, subsampling=0)
    for orientation in range(1, 9):
        block = tiff(orientation, '<>'[orientation % 2])
        segment = b'\xff\xe1' + struct.pack('>H', len(block) + 8) + b'Exif\0\0' + block
        write(f'exif{orientation}.jpg', plain[:2] + segment + plain[2:])
        decode(f'exif{orientation}.jpg', exif='ignore')
        decode(f'exif{orientation}.jpg', exif='apply')
        write(f'exif{orientation}.png', png(small, 8, 2, after=chunk(b'eXIf', block)))
        decode(f'exif{orientation}.png', exif='ignore')
        decode(f'exif{orientation}.png', exif='apply')


# ---- JPEG ---------------------------------------------------------------------------------------------------

def cjpeg(pixels, *options):
    data = b'P6 %d %d 255\n' % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes()
    return subprocess.run(['cjpeg', *options], input=data, stdout=subprocess.PIPE, check=True).stdout


def jpeg_cases():
    color = pattern(61, 43, 3, 6)
    color[15:, :20] = 255 - color[15:, :20]
    for name, options in (('444', dict(subsampling=0)), ('422', dict(subsampling=1)), ('420', dict(subsampling=2)),
                          ('progressive', dict(progressive=True, subsampling=2)),
                          ('progressive-444', dict(progressive=True, subsampling=0, quality=95)),
                          ('q30', dict(quality=30)), ('q100', dict(quality=100, subsampling=0))):
        write(f'{name}.jpg', jpeg(color, **options))
        decode(f'{name}.jpg')
    write('gray.jpg', jpeg(color[:, :, 0]))
    decode('gray.jpg')
    for name, options in (('440', ('-sample', '1x2')), ('411', ('-sample', '4x1')), ('restart', ('-restart', '3B')),
                          ('restart-progressive', ('-restart', '1', '-progressive')), ('rgb', ('-rgb',)),
                          ('optimized', ('-optimize',))):
        write(f'{name}.jpg', cjpeg(color, *options))
        decode(f'{name}.jpg')
    for size in ((1, 1), (7, 3), (8, 8), (17, 9)):
        write('%dx%d.jpg' % size, jpeg(pattern(*size, 3, 7)))
        decode('%dx%d.jpg' % size)
    cmyk = np.concatenate([color, color[:, :, 1:2] // 2 + 100], -1)
    data = io.BytesIO()
    Image.fromarray(cmyk, 'CMYK').save(data, 'JPEG')  # Adobe marker, transform 0
    write('cmyk.jpg', data.getvalue())
    decode('cmyk.jpg')
    adobe = data.getvalue().index(b'Adobe')
    ycck = bytearray(data.getvalue())
    ycck[adobe + 11] = 2
    write('ycck.jpg', bytes(ycck))
    decode('ycck.jpg')


# ---- Resize and tensors -------------------------------------------------------------------------------------

def source(name, pixels):
    Image.fromarray(pixels).save(path(name), optimize=True)


def resize_cases():
    random = np.random.default_rng(8)
    source('131x97.png', pattern(131, 97, 3, 9))
    source('640x37.png', pattern(640, 37, 3, 10))
    source('3x500.png', pattern(3, 500, 3, 11))
    source('1x1.png', pattern(1, 1, 3, 12))
    source('1x9.png', pattern(1, 9, 3, 13))
    source('9x1.png', pattern(9, 1, 3, 14))
    source('extremes.png', (random.integers(0, 2, (43, 41, 3)) * 255).astype(np.uint8))
    wanted = {
        '131x97.png': [(64, 48), (224, 224), (37, 201), (131, 50), (60, 97), (131, 97), (130, 96), (132, 98), (1, 1), (500, 3),
                       (262, 194), (13, 9), (7, 97), (131, 1)],
        '640x37.png': [(32, 32), (1, 37), (641, 36), (211, 12)],
        '3x500.png': [(7, 11), (3, 499), (30, 30), (1, 224)],
        '1x1.png': [(1, 1), (5, 7), (224, 1)],
        '1x9.png': [(3, 3), (1, 4), (2, 18)],
        '9x1.png': [(2, 4), (4, 1), (31, 2)],
        'extremes.png': [(20, 20), (41, 7), (97, 101), (40, 42), (83, 87), (11, 43)],
    }
    for name, sizes in wanted.items():
        image = Image.open(path(name)).convert('RGB')
        for width, height in sizes:
            for filter in FILTERS:
                cases.append(f'resize {name} {width} {height} {filter} {crc(np.array(image.resize((width, height), FILTERS[filter])))}')


def tensor(name, preprocess, label):
    steps = []
    if preprocess['resize']:
        r = preprocess['resize']
        size = r['shortSide'] if 'shortSide' in r else (r['height'], r['width'])
        mode = getattr(transforms.InterpolationMode, preprocess['filter'].upper())
        steps.append(transforms.Resize(size, interpolation=mode))
    if preprocess['crop']:
        steps.append(transforms.CenterCrop((preprocess['crop'][1], preprocess['crop'][0])))
    steps.append(transforms.ToTensor())
    steps.append(transforms.Normalize(preprocess['mean'], preprocess['std']))
    result = transforms.Compose(steps)(Image.open(path(name)).convert('RGB')).numpy().transpose(1, 2, 0)
    cases.append(f'tensor {name} {label} {result.shape[1]} {result.shape[0]} {crc(result)}')


def tensor_cases():
    imagenet = dict(resize={'shortSide': 256}, filter='bilinear', crop=[224, 224], mean=[0.485, 0.456, 0.406],
                    std=[0.229, 0.224, 0.225])
    cifar10 = dict(resize={'shortSide': 32}, filter='bilinear', crop=[32, 32], mean=[0.4914, 0.4822, 0.4465],
                   std=[0.2470, 0.2435, 0.2616])
    source('256x300.png', pattern(256, 300, 3, 15) // 32 * 32)
    source('32x32.png', pattern(32, 32, 3, 16))
    # (long side - crop) odd with both parities of its half: Python rounds halves to even.
    source('99x97.png', pattern(99, 97, 3, 17))
    source('97x103.png', pattern(97, 103, 3, 18))
    for name in ('131x97.png', '640x37.png', '3x500.png', '1x1.png', '256x300.png', '99x97.png', '97x103.png', '32x32.png'):
        tensor(name, imagenet, 'imagenet')
        tensor(name, cifar10, 'cifar10')
    for label, changes in (
            ('pad', dict(resize=None, crop=[224, 201])),
            ('pad-even', dict(resize=None, crop=[40, 10])),
            ('crop-only', dict(resize=None, crop=[20, 30])),
            ('bicubic', dict(resize={'shortSide': 47}, filter='bicubic', crop=[45, 44])),
            ('exact', dict(resize={'width': 50, 'height': 41}, filter='bicubic', crop=None)),
            ('nothing', dict(resize=None, crop=None)),
            ('odd', dict(resize={'shortSide': 61}, crop=[30, 28]))):
        preprocess = dict(imagenet, **changes)
        with open(path(label + '.json'), 'w') as file:
            json.dump(preprocess, file)
        for name in ('131x97.png', '99x97.png', '97x103.png', '32x32.png'):
            tensor(name, preprocess, label + '.json')


os.makedirs(FOLDER, exist_ok=True)
for old in os.listdir(FOLDER):
    os.remove(path(old))
png_cases()
exif_cases()
jpeg_cases()
resize_cases()
tensor_cases()
with open(path('cases.txt'), 'w') as file:
    file.write('\n'.join(cases) + '\n')
print(len(cases), 'cases,', sum(os.path.getsize(path(n)) for n in os.listdir(FOLDER)), 'bytes')
