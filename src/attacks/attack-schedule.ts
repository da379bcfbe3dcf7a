/** @file What an evaluation needs to know to run an attack as a sequence of sign steps. */
export interface AttackSchedule {
  readonly steps: number;
  /** Size of each step in [0,1] pixel units. */
  readonly stepSizeLinf: number;
  /** Start from a uniform point of the ball instead of the image. */
  readonly randomStart: boolean;
}
