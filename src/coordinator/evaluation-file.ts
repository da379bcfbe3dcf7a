/**
 * @file The finished units of an evaluation as a file of JSON lines with checksums. A unit is on the disk before it counts as finished; a
 * line that a crash cut short is removed, and its unit computed again.
 */
import { type FileHandle, mkdir, open, readFile, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DeepDefenseError, diskFault, sha256 } from '../core/index.ts';

/** What came of one unit. */
export interface FinishedUnit {
  readonly kind: 'attack';
  /** See AttackUnit.key. */
  readonly key: string;
  /** One character per image: `1` = correct before and after the attack, else `0`. */
  readonly correct: string;
  /** The same for each target. */
  readonly targetCorrect: readonly string[];
  /** Of minimum-norm attacks: [linf, l2, l1, mse, l0] per image, null where no misclassified image was found. */
  readonly distances?: readonly (readonly number[] | null)[];
  readonly queries: { readonly forward: number; readonly gradient: number };
  readonly computeMs: number;
}

/** The measurements on one network. */
export interface FinishedDiagnosis {
  readonly kind: 'diagnosis';
  readonly key: string;
  readonly json: string;
  readonly computeMs: number;
}

/** The engine that all results of the file come from. */
export interface EngineLine {
  readonly kind: 'engine';
  readonly fingerprint: string;
}

export type EvaluationLine = FinishedUnit | FinishedDiagnosis | EngineLine;

const PREFIX = '{"check":"';
const CHECK_LENGTH = 16;
const MIDDLE = '","line":';
const BODY_START = PREFIX.length + CHECK_LENGTH + MIDDLE.length;

/** One line, its line feed included. */
function sealed(line: EvaluationLine): string {
  const body = JSON.stringify(line);
  return `${PREFIX}${sha256(body).slice(0, CHECK_LENGTH)}${MIDDLE}${body}}\n`;
}

function opened(text: string): EvaluationLine | undefined {
  const body = text.slice(BODY_START, -1);
  if (text !== `${PREFIX}${sha256(body).slice(0, CHECK_LENGTH)}${MIDDLE}${body}}`) return undefined;
  return JSON.parse(body) as EvaluationLine;
}

/** Appends lines to a file; one writer at a time. */
export class EvaluationFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  /** Appends run one after the other, in the order of the calls. */
  #last: Promise<void> = Promise.resolve();

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  /**
   * Opens the file and makes it when missing. What follows the last good line is cut off.
   * @returns the good lines, and how many bytes were cut
   * @throws DeepDefenseError STORAGE_FAILED
   */
  static async open(
    path: string,
  ): Promise<{ readonly file: EvaluationFile; readonly lines: readonly EvaluationLine[]; readonly cutBytes: number }> {
    try {
      await mkdir(dirname(path), { recursive: true });
      const handle = await open(path, 'a');
      const bytes = await readFile(path);
      const lines: EvaluationLine[] = [];
      let good = 0;
      for (let end = bytes.indexOf('\n'); end !== -1; end = bytes.indexOf('\n', good)) {
        const line = opened(bytes.toString('utf8', good, end));
        if (line === undefined) break;
        lines.push(line);
        good = end + 1;
      }
      if (good < bytes.length) {
        await truncate(path, good);
        await handle.sync();
      }
      return { file: new EvaluationFile(path, handle), lines, cutBytes: bytes.length - good };
    } catch (cause) {
      throw failed('open', path, cause);
    }
  }

  /**
   * Appends a line; resolves when it is on the disk.
   * @throws DeepDefenseError STORAGE_FAILED, also for every append after a failed one: the file's end is unknown then.
   */
  append(line: EvaluationLine): Promise<void> {
    this.#last = this.#last.then(async () => {
      try {
        await diskFault();
        await this.#handle.appendFile(sealed(line));
        await this.#handle.datasync();
      } catch (cause) {
        throw failed('append to', this.#path, cause);
      }
    });
    // Whoever awaits the append sees its error; the chain keeps it for those that follow.
    this.#last.catch(() => {});
    return this.#last;
  }

  /** Waits for all appends. @throws DeepDefenseError STORAGE_FAILED when one has failed. */
  flush(): Promise<void> {
    return this.#last;
  }

  /** Closes the file after the appends under way, whatever became of them. */
  async close(): Promise<void> {
    await this.#last.catch(() => {});
    await this.#handle.close();
  }
}

function failed(verb: string, path: string, cause: unknown): DeepDefenseError {
  if (cause instanceof DeepDefenseError) return cause;
  return new DeepDefenseError('STORAGE_FAILED', {
    what: `can't ${verb} "${path}"`,
    got: cause instanceof Error ? cause.message : String(cause),
    todo: 'check free space and permissions of the folder; then the same command goes on where it stopped',
    fields: { path },
    cause,
  });
}
