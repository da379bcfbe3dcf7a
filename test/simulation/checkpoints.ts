/**
 * @file Checkpoints on the simulated disk, kept and found again as src/coordinator/checkpoint-folder.ts and resume.ts do it. The file
 * format is another one, because the real one holds the tensors of a model from the catalogue.
 */
import { type Checkpoint, type CheckpointReceipt, parametersHash } from '../../src/coordinator/index.ts';
import { sha256 } from '../../src/core/index.ts';
import type { JournalRecord } from '../../src/journal/index.ts';
import type { SimulatedDisk } from './disk.ts';

const NAME = /^checkpoints\/step-(\d{8})\.safetensors$/;
const TEMPORARY = /^checkpoints\/.*\.tmp-/;

/** What a resume needs of a checkpoint. */
export type StoredState = Pick<Checkpoint, 'step' | 'journalSequence' | 'journalHash' | 'cleanAccuracy' | 'parameters' | 'optimizer'>;

/** Where a run goes on. */
export interface ResumePoint {
  readonly path: string | undefined;
  readonly state: StoredState | undefined;
  /** Checkpoints that were newer and of no use. */
  readonly skipped: number;
}

export class SimulatedCheckpoints {
  readonly #disk: SimulatedDisk;
  readonly #keep: number;
  readonly #onWritten: () => void;
  #best: { readonly step: number; readonly accuracy: number } | undefined;

  private constructor(disk: SimulatedDisk, keep: number, onWritten: () => void) {
    this.#disk = disk;
    this.#keep = keep;
    this.#onWritten = onWritten;
  }

  static async open(disk: SimulatedDisk, keep: number, onWritten: () => void): Promise<SimulatedCheckpoints> {
    const folder = new SimulatedCheckpoints(disk, keep, onWritten);
    for (const name of await disk.list()) {
      if (TEMPORARY.test(name)) await disk.remove(name);
      if (!NAME.test(name)) continue;
      const state = decode(await disk.readFile(name));
      if (state === undefined) await disk.rename(name, `${name}.damaged`);
      else folder.#consider(state.step, state.cleanAccuracy);
    }
    return folder;
  }

  async write(checkpoint: Checkpoint): Promise<CheckpointReceipt> {
    const known = this.#best?.step === checkpoint.step ? this.#best.accuracy : null;
    const path = `checkpoints/step-${String(checkpoint.step).padStart(8, '0')}.safetensors`;
    const startedAtMs = performance.now();
    const bytes = encode({ ...checkpoint, cleanAccuracy: checkpoint.cleanAccuracy ?? known });
    const parametersSha256 = parametersHash(checkpoint.parameters);
    await this.#disk.writeAtomic(path, bytes);
    this.#consider(checkpoint.step, checkpoint.cleanAccuracy);
    const steps = stepsOf(await this.#disk.list());
    const kept = new Set([...steps.slice(-this.#keep), this.#best?.step, checkpoint.step]);
    for (const step of steps) if (!kept.has(step)) await this.#disk.remove(`checkpoints/step-${String(step).padStart(8, '0')}.safetensors`);
    this.#onWritten();
    return { path, bytes: bytes.length, seconds: (performance.now() - startedAtMs) / 1000, parametersSha256 };
  }

  #consider(step: number, accuracy: number | null): void {
    const best = this.#best;
    if (accuracy === null) return;
    if (best === undefined || accuracy > best.accuracy || (accuracy === best.accuracy && step < best.step)) this.#best = { step, accuracy };
  }
}

/**
 * The newest checkpoint that is whole and that the journal knows, or the first step.
 * @throws when there are checkpoints and none can be used: such a run could never go on.
 */
export async function findResumePoint(disk: SimulatedDisk, records: readonly JournalRecord[]): Promise<ResumePoint> {
  const names = (await disk.list()).filter((name) => NAME.test(name)).sort();
  let skipped = 0;
  for (const path of names.reverse()) {
    const state = decode(await disk.readFile(path));
    if (state !== undefined && records[state.journalSequence - 1]?.hash === state.journalHash) return { path, state, skipped };
    skipped += 1;
  }
  if (skipped > 0) throw new Error(`${skipped} checkpoints, and none is whole and known to the journal`);
  return { path: undefined, state: undefined, skipped };
}

function stepsOf(names: readonly string[]): number[] {
  return names
    .flatMap((name) => Number(NAME.exec(name)?.[1] ?? Number.NaN))
    .filter(Number.isInteger)
    .sort((a, b) => a - b);
}

function encode({ parameters, optimizer, ...rest }: StoredState): Buffer {
  const { step, journalSequence, journalHash, cleanAccuracy } = rest;
  const slots = [...optimizer.slots].map(([name, values]) => [name, toText(values)]);
  const content = { step, journalSequence, journalHash, cleanAccuracy, parameters: toText(parameters), updates: optimizer.updates, slots };
  const body = JSON.stringify(content);
  return Buffer.from(`${sha256(body)}${body}`);
}

function decode(bytes: Buffer): StoredState | undefined {
  const text = bytes.toString();
  const body = text.slice(64);
  if (sha256(body) !== text.slice(0, 64)) return undefined;
  const { updates, slots, parameters, ...rest } = JSON.parse(body) as Omit<StoredState, 'parameters' | 'optimizer'> & {
    readonly parameters: string;
    readonly updates: number;
    readonly slots: [string, string][];
  };
  return {
    ...rest,
    parameters: toVector(parameters),
    optimizer: { updates, slots: new Map(slots.map(([name, values]) => [name, toVector(values)])) },
  };
}

/** Every bit survives, the sign of a zero included. */
function toText(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
}

function toVector(text: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);
}
