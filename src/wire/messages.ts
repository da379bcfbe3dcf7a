/**
 * @file Types of the messages in proto/deepdefense/v1/coordinator.proto as {@link loadProto} delivers and takes them.
 * What each field means is said there. Integers are exact up to 2^53-1.
 */

export interface Hello {
  workerId: string;
  protocolVersion: number;
  packageVersion: string;
  host: string;
  processId: number;
}

export interface Welcome {
  runId: string;
  configJson: string;
  schemaHash: string;
  datasetHash: string;
  engineFingerprint: string;
  heartbeatMs: number;
  trainSamples: number;
  /** Empty for a training run. */
  evaluationJson: string;
}

export interface Refusal {
  code: string;
  message: string;
  retry: boolean;
}

export interface Ready {
  schemaHash: string;
  engineFingerprint: string;
  datasetHash: string;
  metricNames: string[];
  captureMs: number;
  compileMs: number;
}

export interface Heartbeat {
  sentAtMs: number;
  residentBytes: number;
  taskId: number;
}

export interface TensorChunk {
  transferId: number;
  offset: number;
  totalBytes: number;
  data: Buffer;
}

export interface InitialiseTask {
  taskId: number;
}

export interface InitialParameters {
  taskId: number;
  transferId: number;
}

export interface ParametersReady {
  version: number;
  transferId: number;
}

/** Shards [first, first + count) of a step; a node of the fixed reduction tree. */
export interface ShardBlock {
  first: number;
  count: number;
}

/** What changes from step to step by plan. */
export interface StepSettings {
  /** Of the optimiser on the worker; without local steps nobody reads it. */
  learningRate: number;
  /** Factor on the GFA weights, 0..1, a float32 value. */
  gfaScale: number;
}

export interface TrainTask {
  taskId: number;
  step: number;
  firstPosition: number;
  blocks: ShardBlock[];
  leaseEpoch: number;
  /** One entry per step until the next synchronisation. */
  schedule: StepSettings[];
  /** W3C trace context of the step, where it is traced; else empty. */
  traceparent?: string;
}

export interface BlockResult {
  taskId: number;
  step: number;
  leaseEpoch: number;
  /** Null when the sender left it out, which is a protocol error. */
  block: ShardBlock | null;
  transferId: number;
  metricSums: number[];
  computeMs: number;
}

export interface EvaluationTask {
  taskId: number;
  parameterVersion: number;
  attack: string;
  epsLinf: number;
  first: number;
  count: number;
}

export interface EvaluationResult {
  taskId: number;
  correct: Buffer;
  lossSum: number;
  computeMs: number;
}

export interface AttackTask {
  taskId: number;
  network: number;
  attack: string;
  eps: number;
  images: number[];
  targets: number[];
}

export interface AttackOutcome {
  taskId: number;
  correct: Buffer;
  targetCorrect: Buffer;
  distances: number[];
  forwardQueries: number;
  gradientQueries: number;
  computeMs: number;
}

export interface DiagnosisTask {
  taskId: number;
  network: number;
  images: number[];
}

export interface DiagnosisOutcome {
  taskId: number;
  json: string;
  computeMs: number;
}

export interface TaskFailure {
  taskId: number;
  code: string;
  message: string;
}

export interface CancelTask {
  taskId: number;
}

export interface AnswerRefused {
  taskId: number;
  code: string;
  message: string;
}

export interface Goodbye {
  reason: string;
}

export interface Finish {
  state: string;
  reason: string;
}

export interface DatasetRequest {
  datasetHash: string;
  offset: number;
}

export interface DatasetChunk {
  offset: number;
  totalBytes: number;
  data: Buffer;
  sha256: Buffer;
  name: string;
  trainCount: number;
  testCount: number;
}

/** What a worker can say, by the name in the oneof. */
export interface WorkerBodies {
  hello: Hello;
  ready: Ready;
  heartbeat: Heartbeat;
  chunk: TensorChunk;
  blockResult: BlockResult;
  evaluationResult: EvaluationResult;
  initialParameters: InitialParameters;
  taskFailure: TaskFailure;
  goodbye: Goodbye;
  attackOutcome: AttackOutcome;
  diagnosisOutcome: DiagnosisOutcome;
}

/** What the coordinator can say, by the name in the oneof. */
export interface CoordinatorBodies {
  welcome: Welcome;
  refusal: Refusal;
  chunk: TensorChunk;
  parametersReady: ParametersReady;
  initialiseTask: InitialiseTask;
  trainTask: TrainTask;
  evaluationTask: EvaluationTask;
  finish: Finish;
  cancelTask: CancelTask;
  answerRefused: AnswerRefused;
  attackTask: AttackTask;
  diagnosisTask: DiagnosisTask;
}

/** `body` names the field that is present; `undefined` = a message kind that this version doesn't know. */
type OneOf<Bodies> =
  | {
      [Name in keyof Bodies]: { body: Name } & {
        [Field in Name]: Bodies[Name];
      };
    }[keyof Bodies]
  | { body?: undefined };

/** A message from a worker; switch on `body`. */
export type WorkerMessage = OneOf<WorkerBodies>;
/** A message from the coordinator; switch on `body`. */
export type CoordinatorMessage = OneOf<CoordinatorBodies>;

/** Wraps what a worker says, e.g. `workerMessage('goodbye', { reason })`. */
export function workerMessage<Name extends keyof WorkerBodies>(body: Name, value: WorkerBodies[Name]): WorkerMessage {
  return { body, [body]: value } as unknown as WorkerMessage;
}

/** Wraps what the coordinator says, e.g. `coordinatorMessage('finish', { state, reason })`. */
export function coordinatorMessage<Name extends keyof CoordinatorBodies>(body: Name, value: CoordinatorBodies[Name]): CoordinatorMessage {
  return { body, [body]: value } as unknown as CoordinatorMessage;
}
