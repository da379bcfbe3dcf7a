/**
 * @file Finds out whether this machine's ONNX Runtime has blocked convolutions and with how many channels per block
 * (8 with AVX2, 16 with AVX-512). They are internal to the runtime, so they are tried, not assumed: docs/adr/0004.
 */
import { Random } from '../core/index.ts';
import { BLOCKED_DOMAIN } from './blocks.ts';
import { encodeOnnxModel, type OnnxNode } from './onnx-proto.ts';
import { openSession, RuntimeTensor, type SessionOptions } from './onnx-session.ts';

const CANDIDATES = [16, 8] as const;
const CHANNELS = 16;
const SIZE = 5;

/** Channels per block, or 1 where blocked convolutions are missing or compute something else. */
export async function probeBlockSize(options: SessionOptions): Promise<number> {
  const random = new Random('initialisation', 0);
  const image = Float32Array.from({ length: CHANNELS * SIZE * SIZE }, () => random.uniform() - 0.5);
  const filter = Float32Array.from({ length: CHANNELS * CHANNELS * 9 }, () => random.uniform() - 0.5);
  const attributes = { kernel_shape: [3, 3], strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1], group: 1 };
  const expected = await runOnce([{ op: 'Conv', inputs: ['x', 'w'], outputs: ['y'], attributes }], image, filter, options);
  for (const block of CANDIDATES) {
    const nodes: OnnxNode[] = [
      { op: 'ReorderInput', domain: BLOCKED_DOMAIN, inputs: ['x'], outputs: ['xb'] },
      { op: 'Conv', domain: BLOCKED_DOMAIN, inputs: ['xb', 'w'], outputs: ['yb'], attributes: { ...attributes, auto_pad: 'NOTSET' } },
      { op: 'ReorderOutput', domain: BLOCKED_DOMAIN, inputs: ['yb'], outputs: ['y'], attributes: { channels: CHANNELS } },
    ];
    try {
      const got = await runOnce(nodes, image, blockFilter(filter, block), options);
      if (got.every((value, i) => Math.abs(value - (expected[i] as number)) < 1e-4)) return block;
    } catch {
      // A runtime without these operators refuses the model: the plain convolution serves, and the fingerprint says so.
    }
  }
  return 1;
}

/** [O,I,3,3] to [O/b, I/b, 3, 3, b of I, b of O]. */
function blockFilter(filter: Float32Array, block: number): Float32Array {
  const blocked = new Float32Array(filter.length);
  for (let o = 0; o < CHANNELS; o++)
    for (let i = 0; i < CHANNELS; i++)
      for (let k = 0; k < 9; k++) {
        const outer = Math.floor(o / block) * (CHANNELS / block) + Math.floor(i / block);
        blocked[((outer * 9 + k) * block + (i % block)) * block + (o % block)] = filter[(o * CHANNELS + i) * 9 + k] as number;
      }
  return blocked;
}

async function runOnce(nodes: OnnxNode[], image: Float32Array, filter: Float32Array, options: SessionOptions): Promise<Float32Array> {
  const info = (name: string, shape: number[]) => ({ name, type: 'float32' as const, shape });
  const model = encodeOnnxModel({
    name: 'probe',
    nodes,
    initializers: [],
    inputs: [info('x', [1, CHANNELS, SIZE, SIZE]), info('w', [CHANNELS, CHANNELS, 3, 3])],
    outputs: [info('y', [1, CHANNELS, SIZE, SIZE])],
    operatorSets: [
      { domain: '', version: 18 },
      { domain: BLOCKED_DOMAIN, version: 1 },
    ],
  });
  const session = await openSession('probe', model, options);
  try {
    const { y } = await session.run({
      x: new RuntimeTensor('float32', image, [1, CHANNELS, SIZE, SIZE]),
      w: new RuntimeTensor('float32', filter, [CHANNELS, CHANNELS, 3, 3]),
    });
    return Float32Array.from(y?.data as Float32Array);
  } finally {
    await session.release();
  }
}
