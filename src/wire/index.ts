export type { CallObserver } from './call-observer.ts';
export { checkWorkerName, peerOf } from './credentials.ts';
export { loadProto, PROTO_PATH } from './load-proto.ts';
export {
  type AnswerRefused,
  type AttackOutcome,
  type AttackTask,
  type BlockResult,
  type CancelTask,
  type CoordinatorBodies,
  type CoordinatorMessage,
  coordinatorMessage,
  type DatasetChunk,
  type DatasetRequest,
  type DiagnosisOutcome,
  type DiagnosisTask,
  type EvaluationResult,
  type EvaluationTask,
  type Finish,
  type Goodbye,
  type Heartbeat,
  type Hello,
  type InitialiseTask,
  type InitialParameters,
  type ParametersReady,
  type Ready,
  type Refusal,
  type ShardBlock,
  type StepSettings,
  type TaskFailure,
  type TensorChunk,
  type TrainTask,
  type Welcome,
  type WorkerBodies,
  type WorkerMessage,
  workerMessage,
} from './messages.ts';
export {
  roundLeaf,
  sumTree,
  TreeReducer,
  type TreeSum,
  treeBlocks,
  treeChildren,
} from './reduction.ts';
export {
  decodeSafetensors,
  encodeSafetensors,
  type NamedTensor,
  type SafetensorsFile,
} from './safetensors.ts';
export { schemaHash } from './schema-hash.ts';
export { type MessageSink, sendAll } from './send-all.ts';
export {
  bindServer,
  CHANNEL_OPTIONS,
  type CoordinatorClient,
  type CoordinatorHandlers,
  type CoordinatorStream,
  closeServer,
  createCoordinatorClient,
  createCoordinatorServer,
  type GrpcServer,
  grpcStatus,
  isServiceError,
  MAX_MESSAGE_BYTES,
  SERVER_OPTIONS,
  type ServiceError,
  type WorkerStream,
} from './service.ts';
export {
  CHUNK_BYTES,
  TensorReceiver,
  type TensorReceiverOptions,
  TensorSender,
  type TensorTransfer,
} from './tensor-transfer.ts';
export { VectorPool, type VectorPoolOptions } from './vector-pool.ts';
export {
  type ClaimReference,
  type ClaimVerdict,
  createSweepClient,
  createSweepServer,
  type SweepCall,
  type SweepCalls,
  type SweepClient,
  type SweepHandlers,
} from './sweep-service.ts';
