/** @file One batch, one set of parameters and one noise field for both sides, as files of raw little-endian values. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultNetwork, type ModelName, parameterSpecs } from '../src/config/index.ts';
import { Random, sizeOf } from '../src/core/index.ts';
import { SETTINGS } from './tasks.ts';

const HEIGHT = 32;
const WIDTH = 32;
const CHANNELS = 3;
const PLANE = HEIGHT * WIDTH;

/** Paths of the files; `ours` keeps images as [N,32,32,3], `peer` as [N,3,32,32]. */
export interface InputFiles {
  readonly ours: { readonly parameters: string; readonly images: string; readonly labels: string; readonly noise: string };
  readonly peer: { readonly parameters: string; readonly images: string; readonly labels: string; readonly noise: string };
}

/** Writes a file of raw values. @returns its path */
export function writeValues(folder: string, name: string, values: Float32Array | Int32Array): string {
  const path = join(folder, name);
  writeFileSync(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return path;
}

/** Reads a file of raw values; the views of it begin at its first byte. */
export function readValues(path: string): ArrayBufferLike {
  const content = readFileSync(path);
  return content.buffer.slice(content.byteOffset, content.byteOffset + content.byteLength);
}

/** Draws the inputs from the bench seed and writes them into the folder. */
export function writeInputs(model: ModelName, folder: string): InputFiles {
  const write = (name: string, values: Float32Array | Int32Array): string => writeValues(folder, name, values);
  const pixels = SETTINGS.batchSize * PLANE * CHANNELS;
  const images = draw('synthetic', pixels, (u) => u);
  const noise = draw('attack', pixels, (u) => 2 * u - 1);
  const random = new Random('order', SETTINGS.seed);
  const labels = write(
    'labels.bin',
    Int32Array.from({ length: SETTINGS.batchSize }, () => random.integer(10)),
  );
  const parameters = write('parameters.bin', drawParameters(model));
  return {
    ours: { parameters, labels, images: write('images-nhwc.bin', images), noise: write('noise-nhwc.bin', noise) },
    peer: { parameters, labels, images: write('images-nchw.bin', toPlanes(images)), noise: write('noise-nchw.bin', toPlanes(noise)) },
  };
}

function draw(purpose: 'synthetic' | 'attack', length: number, map: (uniform: number) => number): Float32Array {
  const random = new Random(purpose, SETTINGS.seed);
  return Float32Array.from({ length }, () => map(random.uniform()));
}

/** Weights and biases uniform in +-1/sqrt(fan-in): random values of a usual size, nothing more. */
function drawParameters(model: ModelName): Float32Array {
  const random = new Random('initialisation', SETTINGS.seed);
  const values: number[] = [];
  let bound = 1;
  for (const { shape } of parameterSpecs(defaultNetwork(model))) {
    if (shape.length > 1) bound = 1 / Math.sqrt(sizeOf(shape.slice(1)));
    for (let i = 0; i < sizeOf(shape); i++) values.push((2 * random.uniform() - 1) * bound);
  }
  return Float32Array.from(values);
}

/** [N,32,32,3] to [N,3,32,32]. */
export function toPlanes(pixels: Float32Array): Float32Array {
  const planes = new Float32Array(pixels.length);
  for (let image = 0; image < pixels.length; image += PLANE * CHANNELS)
    for (let pixel = 0; pixel < PLANE; pixel++)
      for (let channel = 0; channel < CHANNELS; channel++)
        planes[image + channel * PLANE + pixel] = pixels[image + pixel * CHANNELS + channel] as number;
  return planes;
}
