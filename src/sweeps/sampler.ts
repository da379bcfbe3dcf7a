/** @file What a sampler is: a pure function of the seed, the candidate's number and what has been observed so far. */
import type { Coordinate, Point } from './point.ts';

/** A measured candidate. */
export interface Observation {
  /** Number of the candidate, from 0 in the order in which they were chosen. */
  readonly candidate: number;
  readonly point: Point;
  /**
   * One value per objective, all to be minimised, means over seeds; undefined for a candidate that failed (worse than every other).
   * Of an earlier stop it is the last measurement.
   */
  readonly losses: readonly number[] | undefined;
  /** Rung of the measurement, from 0. */
  readonly rung: number;
}

/** What a sampler is asked with. */
export interface SuggestRequest {
  /** Number of the candidate that is wanted, from 0. */
  readonly candidate: number;
  /** Raised when a suggestion was outside the constraints or had been tried: the same request with another attempt gives another point. */
  readonly attempt: number;
  /** One per candidate that has been measured: its measurement on its highest rung; in an order that doesn't depend on timing. */
  readonly observations: readonly Observation[];
  /** Points that are under way, without result, in the order of their candidates. */
  readonly pending: readonly Point[];
}

export interface SamplerOptions {
  /** The space; at least one coordinate. */
  readonly coordinates: readonly Coordinate[];
  readonly seed: number;
  /** Number of objectives, >= 1. */
  readonly objectives: number;
  /** Candidates drawn from a Sobol sequence before a model is used; of tpe and gp. */
  readonly startup: number;
  /** Candidates of one generation; undefined = the sampler's own default. */
  readonly population: number | undefined;
}

/**
 * Chooses points. Equal requests to samplers of equal options get equal answers; what a sampler keeps between requests only saves time.
 */
export interface Sampler {
  /** False where suggestions don't depend on observations, so that all can be made in advance. */
  readonly learns: boolean;
  /** Undefined when there are no further points, as at the end of a grid. */
  suggest(request: SuggestRequest): Point | undefined;
}
