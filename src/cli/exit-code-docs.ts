/** @file docs/exit-codes.md, generated from the error codes; the types make a code without a meaning a build error. */
import { ERROR_CODES, type ErrorCode, EXIT_CODES, type ExitName } from '../core/index.ts';

const EXIT_MEANINGS: Readonly<Record<ExitName, string>> = {
  OK: 'Success.',
  INTERNAL: 'A bug in deepdefense; the stack is on stderr.',
  USAGE: 'Unknown command or option, or a bad value of an option.',
  CONFIG: 'The config is missing, malformed or contradictory.',
  DATA: 'The dataset is missing or damaged.',
  CHECKPOINT: 'A checkpoint or weights file is missing, damaged or belongs to something else.',
  ENGINE: 'The tensor engine is missing or failed.',
  NETWORK: 'A port is taken, a coordinator or cluster does not answer, or all workers are gone.',
  PROTOCOL: 'Coordinator and worker do not fit each other, or a message was invalid.',
  DIVERGED: 'Training produced a loss or gradient that is not a finite number.',
  STORAGE: 'A file could not be written.',
  AUDIT: '`audit` found a record, weight or sample that was changed, is missing or was counted twice; its report names it.',
  INTERRUPTED: 'Stopped by Ctrl-C or SIGTERM; after a clean stop a checkpoint is there to resume from.',
};

const ERROR_MEANINGS: Readonly<Record<ErrorCode, string>> = {
  INTERNAL: 'A bug.',
  USAGE: 'The command line is wrong.',
  CONFIG_FILE_MISSING: 'The config file cannot be read.',
  CONFIG_SYNTAX: 'The config is not valid YAML; the message has line and column.',
  CONFIG_UNKNOWN_KEY: 'A key does not exist; the message names the nearest.',
  CONFIG_INVALID: 'A value has the wrong type or is out of range.',
  CONFIG_UNKNOWN_LAYER: 'GFA names a layer that the model does not have.',
  CONFIG_LENGTH_MISMATCH: 'GFA layers and weights differ in number.',
  CONFIG_BATCH_NOT_DIVISIBLE: 'The batch cannot be cut into equal shards.',
  CERTIFICATE_INVALID: 'Certificates are missing, have ended, or do not fit each other.',
  TOKEN_INVALID: 'A token file is missing, has ended, or is not signed by the authority beside it.',
  SWEEP_SPACE_EMPTY: 'No point of a search space satisfies its constraints, or none makes a valid training config.',
  CONFIG_TIMEOUT_ORDER: 'Timeouts are out of order: heartbeat < lease/2, lease < step deadline.',
  DATA_MISSING: 'No dataset is at the path, or none was found.',
  DATA_TRUNCATED: 'A data file is shorter than its records.',
  DATA_WRONG_SIZE: 'A data file has another size than the official one.',
  DATA_BAD_LABEL: 'A record has a label above 9.',
  DATA_BAD_MAGIC: 'A file is not what its name says, for example not a gzip archive.',
  DATA_CHECKSUM: 'Bytes differ from what was announced.',
  DATA_DOWNLOAD: 'The download failed.',
  CHECKPOINT_MISSING: 'There is no checkpoint or weights file at the path.',
  CHECKPOINT_TRUNCATED: 'A checkpoint ends too early.',
  CHECKPOINT_CORRUPT: 'A checkpoint cannot be decoded.',
  CHECKPOINT_OTHER_MODEL: 'A checkpoint holds the parameters of another model.',
  CHECKPOINT_OTHER_CONFIG: 'A checkpoint was written under a config that computes something else.',
  NAME_TAKEN: 'The name of a submission is that of something else in the namespace.',
  FORMAT_NEWER: 'A journal or checkpoint was written by a newer version of deepdefense.',
  SWEEP_OTHER: 'The folder or stream belongs to another sweep, or the sweep file has changed since it began.',
  ENGINE_UNAVAILABLE: 'The engine is not installed or cannot run here.',
  ENGINE_UNSUPPORTED_OP: 'A program uses an operation that the engine cannot capture; the message names it.',
  ENGINE_READ_DURING_CAPTURE: 'A program reads a tensor value while it is captured.',
  ENGINE_BAD_INPUT: 'A compiled program got an input of another name, shape or type.',
  ENGINE_FAILED: 'The engine failed while it compiled or ran a program.',
  PORT_IN_USE: 'Another process listens on the port.',
  CONNECT_FAILED: 'The coordinator or the NATS server cannot be reached.',
  CLUSTER_FAILED: 'kubectl is missing, or it or the Kubernetes cluster refused what was asked.',
  NATS_UNSUPPORTED: 'The NATS server is too old, has no JetStream, or did not take a setting; the message names it.',
  WORKERS_LOST: 'No worker was left for `cluster.workersLostMs`, or all started workers ended.',
  PROTOCOL_VERSION: 'Worker and coordinator, or a run and its coordinator, are of different versions.',
  PROTOCOL_SCHEMA: 'Worker and coordinator have different model schemas.',
  PROTOCOL_FINGERPRINT: "A worker's engine would compute other bits than the run's.",
  PROTOCOL_STALE_LEASE: 'An answer came under a lease that has been given to another worker.',
  PROTOCOL_BAD_MESSAGE: 'A message was malformed or out of order.',
  CLAIM_LOST: 'A trial was given to another worker before this one had finished it; its result is not counted.',
  IDENTITY_REFUSED: 'A certificate or token does not entitle its owner to what it asked for.',
  LIMIT_EXCEEDED: 'A worker sent more or larger messages than `cluster.limits` allows.',
  PAYLOAD_TOO_LARGE: 'A task, result or journal event is larger than a message or line may be.',
  NON_FINITE_LOSS: 'The loss or a gradient became infinite or not a number.',
  STORAGE_FAILED: 'A file could not be written, or a NATS stream is full.',
  RUN_IN_USE: 'Another process works on the same run folder or leads the same sweep.',
  LEADER_LOST: 'This coordinator no longer leads its sweep: it was cut off or frozen, and another one took over.',
  JOURNAL_FENCED: 'Another coordinator has written to the journal since this one read it; nothing was overwritten.',
  INTERRUPTED: 'The user stopped the command.',
};

/** Markdown text of docs/exit-codes.md. */
export function exitCodeDocs(): string {
  const exits = Object.entries(EXIT_CODES) as [ExitName, number][];
  const errors = Object.entries(ERROR_CODES) as [ErrorCode, ExitName][];
  const lines = [
    '# Exit codes and error codes',
    '',
    '<!-- Generated by `npm run docs` from src/core/errors.ts. Do not edit. -->',
    '',
    'Every error has a stable code. It is printed as `error CODE: ...` on stderr (mistakes in options and arguments as `error: ...`, exit code 2); with `--json` stdout holds `{"error": {"code", "exitCode", "what", "expected", "got", "todo", "message", ...}}`. Test the code, not the text.',
    '',
    '| exit code | name | meaning | error codes |',
    '|---|---|---|---|',
    ...exits.map(([name, code]) => `| ${code} | ${name} | ${EXIT_MEANINGS[name]} | ${codesOf(name, errors)} |`),
    '',
    '## Error codes',
    '',
    '| error code | exit code | meaning |',
    '|---|---|---|',
    ...errors.map(([code, exit]) => `| \`${code}\` | ${EXIT_CODES[exit]} | ${ERROR_MEANINGS[code]} |`),
  ];
  return `${lines.join('\n')}\n`;
}

function codesOf(name: ExitName, errors: readonly [ErrorCode, ExitName][]): string {
  return errors
    .filter(([, exit]) => exit === name)
    .map(([code]) => `\`${code}\``)
    .join(', ');
}
