/**
 * @file Points of a search space as samplers see them: one number per coordinate. A unit coordinate is a real number in [0, 1); a choice
 * is an index without order. What a coordinate means is the space's business (space.ts).
 */

/** One coordinate of a space. */
export type Coordinate =
  | {
      readonly kind: 'unit';
      readonly name: string;
      /** Values of the grid; undefined where it has none. */
      readonly gridPoints: number | undefined;
      /** Values at 0 and 1, and whether equal distances are equal ratios; undefined where the coordinate alone has no value. */
      readonly scale?: { readonly low: number; readonly high: number; readonly log: boolean };
    }
  | { readonly kind: 'choice'; readonly name: string /** Number of choices, >= 1. */; readonly choices: number };

/** One value per coordinate, in their order: in [0, 1) for a unit, an integer in [0, choices) for a choice. */
export type Point = readonly number[];
