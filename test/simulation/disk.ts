/**
 * @file The coordinator's disk. Every operation takes time and ends as an event of its own. A process that dies leaves what it has
 * written, and of a write in progress any prefix; a machine that stops leaves of each file what was forced to disk and any prefix of
 * what was written later. Names are kept as a journalling file system keeps them: any prefix of the changes since the last fsync of
 * any file.
 */
import { type Clock, DeepDefenseError, type Random } from '../../src/core/index.ts';
import type { JournalDisk, JournalFile } from '../../src/journal/index.ts';

interface SimulatedFile {
  content: Buffer[];
  /** How many pieces of the content are on the platter. */
  forced: number;
  /** What is on the platter instead, after a truncation that wasn't forced. */
  before: Buffer | undefined;
}

type NameChange =
  | { readonly kind: 'create'; readonly name: string; readonly file: SimulatedFile }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string }
  | { readonly kind: 'remove'; readonly name: string };

/** When the machine or process stops at an operation: before it, in the middle of it, or after it but before anyone knows. */
export type StopAt = 'before' | 'torn' | 'after';

export interface DiskOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Called when an operation has ended: promises are about to go on. */
  readonly onSettled: () => void;
  /** Asked before each operation that changes something. */
  readonly onChange: (what: string) => StopAt | undefined;
  /** The coordinator stops now. */
  readonly onStop: () => void;
  readonly trace: (text: () => string) => void;
}

export class SimulatedDisk implements JournalDisk {
  readonly #options: DiskOptions;
  #names = new Map<string, SimulatedFile>();
  #forcedNames = new Map<string, SimulatedFile>();
  #changes: NameChange[] = [];
  /** Operations of an earlier life never end. */
  #life = 0;
  /** The append in progress, of which a dying process leaves a prefix. */
  #writing: { readonly file: SimulatedFile; readonly bytes: Buffer } | undefined;
  /** No room: writes end in ENOSPC, part of them written. */
  full = false;
  /** Most milliseconds of an operation. */
  slowestMs = 2;
  readonly tally = { failedWrites: 0, slowWrites: 0, tornWrites: 0, lostBytes: 0 };

  constructor(options: DiskOptions) {
    this.#options = options;
  }

  /** The process is gone; with `power`, the machine as well. */
  stop(power: boolean): void {
    const { random } = this.#options;
    this.#life += 1;
    if (this.#writing !== undefined) this.#tear(this.#writing.file, this.#writing.bytes);
    this.#writing = undefined;
    if (!power) return;
    const kept = random.integer(this.#changes.length + 1);
    this.#names = new Map(this.#forcedNames);
    for (const change of this.#changes.slice(0, kept)) apply(this.#names, change);
    this.#forcedNames = new Map(this.#names);
    this.#changes = [];
    for (const file of this.#names.values()) this.#cut(file);
  }

  /** Whole lines of a file that must be there after the process, or with `power` the machine, stops now. */
  sureLines(name: string, power: boolean): number {
    const file = this.#names.get(name);
    if (file === undefined || (power && this.#forcedNames.get(name) !== file)) return 0;
    const sure = power ? (file.before ?? Buffer.concat(file.content.slice(0, file.forced))) : Buffer.concat(file.content);
    let lines = 0;
    for (const byte of sure) if (byte === 0x0a) lines += 1;
    return lines;
  }

  /** Content without the passing of time, for checks. */
  peek(name: string): Buffer | undefined {
    const file = this.#names.get(name);
    return file && Buffer.concat(file.content);
  }

  list(): Promise<string[]> {
    return this.#perform(() => [...this.#names.keys()]);
  }

  readFile(name: string): Promise<Buffer> {
    return this.#perform(() => Buffer.concat(this.#require(name).content));
  }

  openForAppend(name: string): Promise<JournalFile> {
    return this.#change(`open ${name}`, () => {
      if (!this.#names.has(name)) this.#alter({ kind: 'create', name, file: { content: [], forced: 0, before: undefined } });
      const file = this.#require(name);
      return {
        appendFile: (text) => this.#append(name, file, Buffer.from(text)),
        datasync: () => this.#change(`sync ${name}`, () => this.#force(file)),
        sync: () => this.#change(`sync ${name}`, () => this.#force(file)),
        close: () => this.#perform(() => {}),
      };
    });
  }

  async writeFile(name: string, bytes: Uint8Array): Promise<void> {
    await this.#change(`create ${name}`, () => {
      this.#alter({ kind: 'create', name, file: { content: [], forced: 0, before: undefined } });
    });
    await this.#append(name, this.#require(name), Buffer.from(bytes));
  }

  truncate(name: string, bytes: number): Promise<void> {
    return this.#change(`truncate ${name}`, () => {
      const file = this.#require(name);
      const content = Buffer.concat(file.content);
      file.before ??= Buffer.concat(file.content.slice(0, file.forced));
      file.content = [content.subarray(0, bytes)];
      file.forced = 1;
    });
  }

  force(name: string): Promise<void> {
    return this.#change(`sync ${name}`, () => this.#force(this.#require(name)));
  }

  rename(name: string, to: string): Promise<void> {
    return this.#change(`rename ${name} to ${to}`, () => this.#alter({ kind: 'rename', name, to }));
  }

  remove(name: string): Promise<void> {
    return this.#change(`remove ${name}`, () => this.#alter({ kind: 'remove', name }));
  }

  /** As src/core/files.ts does it. */
  async writeAtomic(name: string, bytes: Uint8Array): Promise<void> {
    const temporary = `${name}.tmp-1`;
    try {
      await this.writeFile(temporary, bytes);
      await this.force(temporary);
      await this.rename(temporary, name);
    } catch (cause) {
      await this.remove(temporary);
      throw new DeepDefenseError('STORAGE_FAILED', { what: `can't write "${name}"`, got: String(cause), cause });
    }
  }

  #require(name: string): SimulatedFile {
    const file = this.#names.get(name);
    if (file === undefined) throw Object.assign(new Error(`ENOENT: ${name}`), { code: 'ENOENT' });
    return file;
  }

  #alter(change: NameChange): void {
    apply(this.#names, change);
    this.#changes.push(change);
  }

  #force(file: SimulatedFile): void {
    file.forced = file.content.length;
    file.before = undefined;
    this.#forcedNames = new Map(this.#names);
    this.#changes = [];
  }

  #append(name: string, file: SimulatedFile, bytes: Buffer): Promise<void> {
    this.#writing = { file, bytes };
    return this.#change(
      `append to ${name}`,
      () => {
        this.#writing = undefined;
        if (this.full) {
          this.tally.failedWrites += 1;
          this.#tear(file, bytes);
          throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
        }
        file.content.push(bytes);
      },
      () => {
        this.#tear(file, bytes);
        this.#writing = undefined;
      },
    );
  }

  #tear(file: SimulatedFile, bytes: Buffer): void {
    const kept = this.#options.random.integer(bytes.length + 1);
    if (kept > 0 && kept < bytes.length) this.tally.tornWrites += 1;
    if (kept > 0) file.content.push(bytes.subarray(0, kept));
  }

  /** What a machine that stops leaves of a file. */
  #cut(file: SimulatedFile): void {
    const { random } = this.#options;
    if (file.before !== undefined && random.integer(2) === 0) file.content = [file.before];
    else {
      const forced = file.content.slice(0, file.forced);
      const rest = Buffer.concat(file.content.slice(file.forced));
      const kept = [0, rest.length, random.integer(rest.length + 1)][random.integer(3)] as number;
      this.tally.lostBytes += rest.length - kept;
      file.content = [...forced, rest.subarray(0, kept)];
    }
    file.forced = file.content.length;
    file.before = undefined;
  }

  #change<Result>(what: string, act: () => Result, tear?: () => void): Promise<Result> {
    const { onChange, onStop, trace } = this.#options;
    return this.#perform((never) => {
      trace(() => `disk: ${what}${this.full ? ' (full)' : ''}`);
      const stop = onChange(what);
      if (stop === undefined) return act();
      if (stop === 'after') act();
      if (stop === 'torn') tear?.();
      this.#writing = undefined;
      onStop();
      return never;
    });
  }

  /** Acts some time later; an act that returns `never` leaves its caller waiting for ever. */
  #perform<Result>(act: (never: Result) => Result): Promise<Result> {
    const { clock, random, onSettled } = this.#options;
    const life = this.#life;
    const ms = random.integer(this.slowestMs + 1);
    if (ms > 100) this.tally.slowWrites += 1;
    return new Promise<Result>((resolve, reject) => {
      clock.setTimer(ms, () => {
        if (life !== this.#life) return;
        const never = {} as Result;
        try {
          const result = act(never);
          if (result !== never) resolve(result);
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
        onSettled();
      });
    });
  }
}

function apply(names: Map<string, SimulatedFile>, change: NameChange): void {
  if (change.kind === 'create') names.set(change.name, change.file);
  else {
    const file = names.get(change.name);
    names.delete(change.name);
    if (change.kind === 'rename' && file !== undefined) names.set(change.to, file);
  }
}
