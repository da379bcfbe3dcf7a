/** @file Reference outputs of PyTorch and torchattacks, kept outside the repository. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultNetwork, parameterSpecs } from '../../src/config/index.ts';
import type { TensorValue, TypedArray } from '../../src/core/index.ts';

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const folder = process.env.DEEPDEFENSE_GOLDEN ?? join(repository, '../shared/golden');

/** Why golden tests are skipped here; undefined when the folder is there. */
export const goldenMissing: string | undefined = existsSync(join(folder, 'model_std.json'))
  ? undefined
  : `no golden vectors in "${folder}"; set DEEPDEFENSE_GOLDEN to their folder`;

/** Title of a group of golden tests; says why when they are skipped. */
export function goldenTitle(title: string): string {
  return goldenMissing === undefined ? title : `${title} (skipped: ${goldenMissing})`;
}

export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly data: TypedArray | Float64Array;
}

export interface GoldenFile {
  /** The JSON beside the tensors. */
  readonly json: Readonly<Record<string, unknown>>;
  tensor(name: string): GoldenTensor;
}

const ARRAYS = { float32le: Float32Array, float64le: Float64Array, uint8: Uint8Array, int32le: Int32Array } as const;

interface TensorEntry {
  readonly name: string;
  readonly dtype: keyof typeof ARRAYS;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly bytes: number;
}

/** Reads `<name>.json`, a summary without tensors. */
export function readGoldenJson<T>(name: string): T {
  return JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as T;
}

/** Reads `<name>.json` and `<name>.bin`. */
export function readGolden(name: string): GoldenFile {
  const json = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as { tensors: TensorEntry[] } & Record<string, unknown>;
  const bytes = readFileSync(join(folder, `${name}.bin`));
  return {
    json,
    tensor: (tensorName) => {
      const entry = json.tensors.find((candidate) => candidate.name === tensorName);
      if (entry === undefined) throw new Error(`${name} has no tensor "${tensorName}"`);
      const copy = new Uint8Array(bytes.subarray(entry.offset, entry.offset + entry.bytes)).buffer;
      return { shape: entry.shape, data: new ARRAYS[entry.dtype](copy) };
    },
  };
}

/** The reference network's parameters as one flat vector of `cnn3`. */
export function goldenParameters(): TensorValue {
  const file = readGolden('model_std');
  return flat((name) => file.tensor(name).data);
}

/** Tensors named like the parameters of `cnn3`, joined in order. */
export function flat(tensorOf: (parameterName: string) => ArrayLike<number>): TensorValue {
  const data = Float32Array.from(parameterSpecs(defaultNetwork('cnn3')).flatMap(({ name }) => Array.from(tensorOf(name))));
  return { shape: [data.length], dtype: 'float32', data };
}

/** Golden images [first, first + count) as NHWC float32 in [0,1], and their one-hot labels. */
export function goldenBatch(first: number, count: number): { image: TensorValue; target: TensorValue; labels: Int32Array } {
  const file = readGolden('images256');
  const pixels = file.tensor('images').data.subarray(first * 3072, (first + count) * 3072);
  const labels = Int32Array.from(file.tensor('labels').data.subarray(first, first + count));
  const target = new Float32Array(count * 10);
  for (const [i, label] of labels.entries()) target[i * 10 + label] = 1;
  const unit = Float32Array.from(pixels, (value) => value / 255);
  return {
    image: { shape: [count, 32, 32, 3], dtype: 'float32', data: toChannelsLast(unit, [count, 3, 32, 32]) },
    target: { shape: [count, 10], dtype: 'float32', data: target },
    labels,
  };
}

/** [n,c,h,w] to [n,h,w,c]. */
export function toChannelsLast(values: ArrayLike<number>, shape: readonly [number, number, number, number]): Float32Array {
  const [n, c, h, w] = shape;
  const out = new Float32Array(n * c * h * w);
  let at = 0;
  for (let i = 0; i < n; i++)
    for (let p = 0; p < h * w; p++) for (let k = 0; k < c; k++) out[at++] = values[(i * c + k) * h * w + p] as number;
  return out;
}

/** Largest absolute difference; infinite when lengths differ or a value isn't finite. */
export function maxDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs((a[i] as number) - (b[i] as number));
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return worst;
}
