// Types only: loading the computer loads the tensor packages, which belong on the compute thread.
export type { AttackSum, AttackWork } from './attack-computer.ts';
export type { BlockSum, Computer, EvaluationSum, TrainWork } from './compute.ts';
export { type ComputeClient, createLocalComputeClient, createThreadComputeClient } from './compute-client.ts';
export {
  type AttackComputerLike,
  type ComputerFactory,
  type ComputerLike,
  ComputeHost,
  type CreateAttackComputer,
  type CreateComputer,
  type DataStatus,
  type OpenDataRequest,
  type Prepared,
} from './compute-host.ts';
export { type ClaimLoopOptions, runClaimLoop, type TaskResult, type TaskRunner } from './claim-loop.ts';
export { WorkClock, type WorkState } from './work-clock.ts';
export { runWorker, type RunWorkerOptions, type WorkerDataOptions, type WorkerExitReason, type WorkerPlacement } from './supervisor.ts';
