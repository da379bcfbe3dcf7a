/**
 * @file The arithmetic of vector-math.ts with WebAssembly SIMD, on vectors in a memory of its own. The loops are in vector-math.wat;
 * what is left over behind their last whole block is computed by the plain loops. Why: docs/adr/0005.
 */
import { DeepDefenseError } from './errors.ts';
import {
  type AdamFactors,
  type MomentumFactors,
  plainVectorMath,
  type SgdFactors,
  type SumPrecision,
  sumSquares,
  type VectorMath,
  type VectorRange,
} from './vector-math.ts';
import { VECTOR_MATH_BINARY } from './vector-math-binary.ts';

const PAGE_BYTES = 65_536;
/** One page less than 4 GiB: the end of a vector must fit into 32 bits. */
const MOST_PAGES = 65_535;
/** Vectors begin at cache lines. */
const ALIGNMENT = 64;
/** Values that the loops take at a time. */
const BLOCK = { accumulate: 16, widen: 8, read: 4, update: 2 } as const;
/** Pointers of one accumulation; a tree over 2^53 shards is less than twice as deep. The table lies at the start of the memory. */
const TABLE_ENTRIES = 128;
/** Above it, integers are not all float32 values. */
const MOST_DIVISOR = 2 ** 24;

/** The functions of vector-math.wat; pointers and distances are bytes. */
interface Kernels {
  accumulate(target: number, end: number, table: number, count: number, divisor: number): void;
  accumulateBfloat16(target: number, end: number, table: number, count: number, divisor: number): void;
  widen(target: number, end: number, packed: number): void;
  allFinite(values: number, end: number): number;
  sumOfSquares(values: number, end: number, sum: number): number;
  sgd(parameters: number, end: number, gradients: number, ...factors: number[]): number;
  momentum(parameters: number, end: number, gradients: number, velocity: number, ...factors: number[]): number;
  adam(parameters: number, end: number, gradients: number, first: number, second: number, ...factors: number[]): number;
}

/** The parts of the runtime's WebAssembly that are used here; its types come with those of browsers only. */
interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
  grow(pages: number): number;
}
interface WasmRuntime {
  readonly Memory: new (options: { readonly initial: number; readonly maximum: number; readonly shared: true }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
}
const { WebAssembly: wasm } = globalThis as unknown as { readonly WebAssembly: WasmRuntime };

export interface WasmVectorMathOptions {
  /** Most memory of all vectors together, in bytes; rounded down to pages of 64 KiB. Default and upper limit: 64 KiB below 4 GiB. */
  readonly maximumBytes?: number;
}

/**
 * See the file's header. The memory is shared, so that growing it leaves the vectors that are there attached; they can't be
 * transferred to other threads. Vectors are never freed: keep them in a pool (VectorPool) and let go of all of them together.
 */
export class WasmVectorMath implements VectorMath {
  readonly #memory: WasmMemory;
  readonly #kernels: Kernels;
  /** The memory's buffers: after growing, V8 makes new ones, also in a later turn; views of old ones stay good. */
  readonly #buffers = new WeakSet<ArrayBufferLike>();
  readonly #table: Uint32Array;
  readonly #maximumPages: number;
  #usedBytes = TABLE_ENTRIES * 4;

  /** @throws DeepDefenseError ENGINE_UNAVAILABLE when this machine has no SIMD or won't reserve the address space. */
  constructor({ maximumBytes = MOST_PAGES * PAGE_BYTES }: WasmVectorMathOptions = {}) {
    this.#maximumPages = Math.max(1, Math.min(MOST_PAGES, Math.floor(maximumBytes / PAGE_BYTES)));
    try {
      // The maximum only reserves addresses; memory is taken page by page as vectors are written.
      this.#memory = new wasm.Memory({ initial: 1, maximum: this.#maximumPages, shared: true });
      const module = new wasm.Module(Buffer.from(VECTOR_MATH_BINARY, 'base64'));
      this.#kernels = new wasm.Instance(module, { env: { memory: this.#memory } }).exports as Kernels;
    } catch (cause) {
      throw new DeepDefenseError('ENGINE_UNAVAILABLE', {
        what: "the coordinator's vector arithmetic can't start",
        expected: `WebAssembly with 128-bit SIMD and ${this.#maximumPages * PAGE_BYTES} bytes of address space`,
        got: cause instanceof Error ? cause.message : String(cause),
        todo: 'use a processor with SSE4.1 or NEON, and lift the limit on virtual memory (ulimit -v)',
        cause,
      });
    }
    this.#table = new Uint32Array(this.#memory.buffer, 0, TABLE_ENTRIES);
  }

  /** Bytes of all vectors that were allocated, with what aligns them. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  allocate(elements: number): Float32Array {
    if (!Number.isInteger(elements) || elements < 0)
      throw new DeepDefenseError('INTERNAL', { what: 'bad length of a vector', got: String(elements) });
    const from = Math.ceil(this.#usedBytes / ALIGNMENT) * ALIGNMENT;
    const to = from + elements * 4;
    const missingPages = Math.ceil((to - this.#memory.buffer.byteLength) / PAGE_BYTES);
    if (to > this.#maximumPages * PAGE_BYTES) throw this.#full(elements);
    if (missingPages > 0) {
      try {
        this.#memory.grow(missingPages);
      } catch (cause) {
        throw this.#full(elements, cause);
      }
    }
    this.#usedBytes = to;
    const { buffer } = this.#memory;
    this.#buffers.add(buffer);
    return new Float32Array(buffer, from, elements);
  }

  accumulate(target: Float32Array, addends: readonly Float32Array[], divisor: number, precision: SumPrecision = 'float32'): void {
    if (!Number.isInteger(divisor) || divisor < 1 || divisor > MOST_DIVISOR)
      throw new DeepDefenseError('INTERNAL', {
        what: 'bad divisor of a sum of vectors',
        expected: `an integer in [1, ${MOST_DIVISOR}]`,
        got: String(divisor),
      });
    if (addends.length > TABLE_ENTRIES)
      throw new DeepDefenseError('INTERNAL', { what: `more than ${TABLE_ENTRIES} vectors were to be added at once` });
    const at = this.#at(target, target.length);
    for (const [index, addend] of addends.entries()) this.#table[index] = this.#at(addend, target.length) - at;
    const whole = target.length - (target.length % BLOCK.accumulate);
    const kernel = precision === 'float32' ? this.#kernels.accumulate : this.#kernels.accumulateBfloat16;
    kernel(at, at + whole * 4, 0, addends.length, divisor);
    if (whole < target.length)
      plainVectorMath.accumulate(
        target.subarray(whole),
        addends.map((addend) => addend.subarray(whole)),
        divisor,
        precision,
      );
  }

  widen(values: Float32Array): void {
    const at = this.#at(values, values.length);
    const whole = values.length - (values.length % BLOCK.widen);
    // What is left over lies where the loop writes.
    const rest = new Uint16Array(values.buffer, at + values.length * 2 + whole * 2, values.length - whole).slice();
    this.#kernels.widen(at, at + whole * 4, at + values.length * 2);
    const words = new Uint32Array(values.buffer, at + whole * 4, rest.length);
    for (const [i, half] of rest.entries()) words[i] = half << 16;
  }

  allFinite(values: Float32Array): boolean {
    const at = this.#at(values, values.length);
    const whole = values.length - (values.length % BLOCK.read);
    return this.#kernels.allFinite(at, at + whole * 4) === 1 && plainVectorMath.allFinite(values.subarray(whole));
  }

  sumOfSquares(values: Float32Array): number {
    const at = this.#at(values, values.length);
    const whole = values.length - (values.length % BLOCK.read);
    return sumSquares(values, { from: whole, to: values.length }, this.#kernels.sumOfSquares(at, at + whole * 4, 0));
  }

  sgd(parameters: Float32Array, gradients: Float32Array, range: VectorRange, factors: SgdFactors, sum: number): number {
    const { learningRate, scale, weightDecay } = factors;
    const { at, end, rest, distances } = this.#place(range, parameters, gradients);
    const [toGradients] = distances as [number];
    const squares = this.#kernels.sgd(at, end, toGradients, learningRate, scale, weightDecay, sum);
    return plainVectorMath.sgd(parameters, gradients, rest, factors, squares);
  }

  momentum(
    parameters: Float32Array,
    gradients: Float32Array,
    velocity: Float32Array,
    range: VectorRange,
    factors: MomentumFactors,
    sum: number,
  ): number {
    const { learningRate, scale, weightDecay, momentum, nesterov } = factors;
    const { at, end, rest, distances } = this.#place(range, parameters, gradients, velocity);
    const [toGradients, toVelocity] = distances as [number, number];
    const numbers = [learningRate, scale, weightDecay, momentum, nesterov ? 1 : 0, sum];
    const squares = this.#kernels.momentum(at, end, toGradients, toVelocity, ...numbers);
    return plainVectorMath.momentum(parameters, gradients, velocity, rest, factors, squares);
  }

  adam(
    parameters: Float32Array,
    gradients: Float32Array,
    first: Float32Array,
    second: Float32Array,
    range: VectorRange,
    factors: AdamFactors,
    sum: number,
  ): number {
    const { scale, l2, keep, beta1, beta2, stepSize, correction, epsilon } = factors;
    const { at, end, rest, distances } = this.#place(range, parameters, gradients, first, second);
    const [toGradients, toFirst, toSecond] = distances as [number, number, number];
    const numbers = [scale, l2, keep, beta1, beta2, stepSize, correction, epsilon, sum];
    const squares = this.#kernels.adam(at, end, toGradients, toFirst, toSecond, ...numbers);
    return plainVectorMath.adam(parameters, gradients, first, second, rest, factors, squares);
  }

  /** Where an update begins and ends in memory, how far the other vectors are away, and the elements behind the last whole block. */
  #place(
    { from, to }: VectorRange,
    parameters: Float32Array,
    ...others: readonly Float32Array[]
  ): { readonly at: number; readonly end: number; readonly rest: VectorRange; readonly distances: readonly number[] } {
    if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || from > to || to > parameters.length)
      throw new DeepDefenseError('INTERNAL', {
        what: 'bad range of a vector',
        expected: `a part of [0, ${parameters.length})`,
        got: `[${from}, ${to})`,
      });
    const start = this.#at(parameters, parameters.length);
    const distances = others.map((other) => this.#at(other, parameters.length) - start);
    const whole = to - ((to - from) % BLOCK.update);
    return { at: start + from * 4, end: start + whole * 4, rest: { from: whole, to }, distances };
  }

  /**
   * A vector's place in the memory.
   * @throws DeepDefenseError INTERNAL when it lies elsewhere or has another length.
   */
  #at(vector: Float32Array, length: number): number {
    if (vector.length !== length)
      throw new DeepDefenseError('INTERNAL', {
        what: 'vectors of different lengths were to be combined',
        expected: `${length} values`,
        got: String(vector.length),
      });
    if (!this.#buffers.has(vector.buffer))
      throw new DeepDefenseError('INTERNAL', {
        what: 'a vector of another memory reached the WebAssembly arithmetic',
        expected: 'a vector of its own allocate()',
        got: `${vector.length} values elsewhere`,
      });
    return vector.byteOffset;
  }

  #full(elements: number, cause?: unknown): DeepDefenseError {
    return new DeepDefenseError('ENGINE_FAILED', {
      what: `there is no room for another vector of ${elements} values in the coordinator's memory`,
      expected: `at most ${this.#maximumPages * PAGE_BYTES} bytes for parameters, optimiser state and gradients under way together`,
      got: `${this.#usedBytes} bytes in use and ${elements * 4} more`,
      todo: 'use a smaller model, fewer workers at once or fewer shards, or an optimiser with less state',
      fields: { elements, usedBytes: this.#usedBytes },
      ...(cause instanceof Error ? { cause } : {}),
    });
  }
}
