/**
 * @file Bounds of what workers say, beyond what the wire format guarantees: their texts become labels, log lines and journal events, and
 * their numbers are added up. Checked before anything else looks at a message.
 */
import { DeepDefenseError } from '../core/index.ts';
import type { WorkerMessage } from '../wire/index.ts';

/** Longest texts, in characters. */
const LONGEST = {
  id: 128,
  host: 255,
  version: 64,
  hash: 128,
  fingerprint: 1024,
  metric: 128,
  code: 64,
  message: 16_384,
  json: 2 ** 20,
} as const;
/** Metrics of a training step; GFA has five for each layer. */
const MOST_METRICS = 1024;
/** Ids and names: no separators of paths, no control characters. */
const ID = /^[\w.:@-]+$/;
const NAME = /^[\w.:/@ -]+$/;

/**
 * @throws DeepDefenseError PROTOCOL_BAD_MESSAGE
 */
export function checkWorkerMessage(message: WorkerMessage): void {
  switch (message.body) {
    case 'hello': {
      const { workerId, packageVersion, host } = message.hello;
      // An empty id and other versions are refused elsewhere, with better words.
      if (workerId !== '') checkText('workerId', workerId, LONGEST.id, ID);
      checkText('packageVersion', packageVersion, LONGEST.version);
      checkText('host', host, LONGEST.host);
      return;
    }
    case 'ready': {
      const { schemaHash, engineFingerprint, datasetHash, metricNames, captureMs, compileMs } = message.ready;
      checkText('schemaHash', schemaHash, LONGEST.hash);
      checkText('datasetHash', datasetHash, LONGEST.hash);
      checkText('engineFingerprint', engineFingerprint, LONGEST.fingerprint);
      if (metricNames.length > MOST_METRICS) throw bad('metricNames', `at most ${MOST_METRICS}`, String(metricNames.length));
      for (const name of metricNames) checkText('metricNames', name, LONGEST.metric, NAME);
      checkDuration('captureMs', captureMs);
      checkDuration('compileMs', compileMs);
      return;
    }
    case 'blockResult':
      return checkDuration('computeMs', message.blockResult.computeMs);
    case 'evaluationResult':
      return checkDuration('computeMs', message.evaluationResult.computeMs);
    case 'attackOutcome': {
      const { computeMs, forwardQueries, gradientQueries } = message.attackOutcome;
      checkDuration('computeMs', computeMs);
      checkCount('forwardQueries', forwardQueries);
      checkCount('gradientQueries', gradientQueries);
      return;
    }
    case 'diagnosisOutcome':
      checkText('json', message.diagnosisOutcome.json, LONGEST.json);
      return checkDuration('computeMs', message.diagnosisOutcome.computeMs);
    case 'taskFailure':
      checkText('code', message.taskFailure.code, LONGEST.code);
      return checkText('message', message.taskFailure.message, LONGEST.message);
    case 'goodbye':
      return checkText('reason', message.goodbye.reason, LONGEST.message);
    default: // Vectors and signs of life have their own checks, or nothing to check.
  }
}

function checkText(field: string, text: string, longest: number, form?: RegExp): void {
  if (text.length > longest) throw bad(field, `at most ${longest} characters`, String(text.length));
  if (form !== undefined && !form.test(text)) throw bad(field, 'letters, digits and -_.:@', JSON.stringify(text.slice(0, 40)));
}

function checkDuration(field: string, ms: number): void {
  if (!(ms >= 0 && Number.isFinite(ms))) throw bad(field, 'milliseconds', String(ms));
}

function checkCount(field: string, count: number): void {
  if (!Number.isSafeInteger(count) || count < 0) throw bad(field, 'a count', String(count));
}

function bad(field: string, expected: string, got: string): DeepDefenseError {
  return new DeepDefenseError('PROTOCOL_BAD_MESSAGE', {
    what: `a worker sent a bad ${field}`,
    expected,
    got,
    todo: 'install the same version of deepdefense on both sides',
  });
}
