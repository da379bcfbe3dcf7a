/**
 * @file The elastic-net attack EAD (Chen et al., AAAI 2018, arXiv 1709.04114, algorithm 1): minimises c f(x') + |x' - x|_2^2 + beta |x' - x|_1
 * by FISTA, with f as in Carlini and Wagner's attack, and searches the smallest c that succeeds. The nearest image by the decision rule counts.
 */
import type { Attack } from './attack.ts';
import type { Classifier } from './classifier.ts';
import { ConstantSearch, StallCheck } from './constant-search.ts';
import { eadOfTorchattacks } from './ead-torchattacks.ts';
import { descendElasticNet, elasticSize, shrinkAndExtrapolate } from './elastic-net.ts';
import { minimumNorm, Nearest, type NearestSearch } from './minimum-norm.ts';
import { type GradientLook, type Look, logitMargin, type Search, searchByGradient, searchByLogits } from './search.ts';

export interface EadOptions {
  /** What the nearest image is nearest by: `en` |d|_2^2 + beta |d|_1, `l1` |d|_1. */
  readonly rule: 'en' | 'l1';
  /** Steps per value of c, one gradient and one look at logits each; default 1000. */
  readonly steps?: number;
  /** Values of c to try; default 9. */
  readonly searchSteps?: number;
  /** The first c; default 0.001. */
  readonly c?: number;
  /** Weight of the L1 distance; default 0.001. */
  readonly beta?: number;
  /** The first one; falls with the square root of the share of steps that are left. Default 0.01. */
  readonly learningRate?: number;
  /** The margin by which another class has to be ahead, in logits; default 0. */
  readonly confidence?: number;
  /** `torchattacks`: as torchattacks 3.5.1 does it, its errors included; see ead-torchattacks.ts. For comparisons only. */
  readonly compatibility?: 'none' | 'torchattacks';
}

type ResolvedEadOptions = Required<Omit<EadOptions, 'compatibility'>>;

/** A loss that falls by less in a tenth of the steps is as good as stalled. */
const STALL_FACTOR = 0.9999;

/** Takes turns: a gradient at y, then the logits at x'. */
class EadSearch implements NearestSearch {
  readonly nearest: Nearest;
  readonly gradientTurn: Search<GradientLook>;
  readonly logitsTurn: Search<Look>;
  done = false;
  #turn: 'gradient' | 'logits' = 'gradient';
  readonly #clean: Float32Array;
  readonly #label: number;
  readonly #options: ResolvedEadOptions;
  readonly #x: Float32Array;
  readonly #y: Float32Array;
  readonly #constants: ConstantSearch;
  readonly #stall: StallCheck;
  #step = 0;
  #searchStep = 0;
  #succeeded = false;

  constructor(clean: Float32Array, label: number, options: ResolvedEadOptions) {
    this.nearest = new Nearest(clean);
    this.#clean = clean;
    this.#label = label;
    this.#options = options;
    this.#x = clean.slice();
    this.#y = clean.slice();
    this.#constants = new ConstantSearch(options.c);
    this.#stall = new StallCheck(options.steps, STALL_FACTOR);
    const waits = (turn: 'gradient' | 'logits') => this.done || this.#turn !== turn;
    this.gradientTurn = {
      label,
      image: this.#y,
      get done() {
        return waits('gradient');
      },
      observe: (seen) => this.#descend(seen),
    };
    this.logitsTurn = {
      label,
      image: this.#x,
      get done() {
        return waits('logits');
      },
      observe: (seen) => this.#judge(seen),
    };
  }

  #descend({ logits, gradient }: GradientLook): void {
    const { steps, learningRate, beta, confidence } = this.#options;
    const rate = learningRate * Math.sqrt(1 - this.#step / steps);
    const weight = logitMargin(logits, this.#label) + confidence > 0 ? this.#constants.constant : 0;
    descendElasticNet(this.#y, this.#clean, gradient, weight, rate);
    shrinkAndExtrapolate(this.#x, this.#y, this.#clean, beta, this.#step / (this.#step + 3));
    this.#turn = 'logits';
  }

  #judge({ logits }: Look): void {
    const { steps, rule, beta, confidence } = this.#options;
    const excess = logitMargin(logits, this.#label) + confidence;
    const size = elasticSize(this.#x, this.#clean, beta);
    this.#turn = 'gradient';
    // Where the logits aren't finite there is no way on.
    if (Number.isNaN(excess)) this.done = true;
    if (!(excess > 0)) {
      this.#succeeded = true;
      this.nearest.offer(this.#x, size[rule]);
    }
    if (this.done) return;
    const stalled = this.#stall.isStalled(this.#step, size.en + this.#constants.constant * Math.max(excess, 0));
    this.#step += 1;
    if (stalled || this.#step === steps) this.#nextConstant();
  }

  #nextConstant(): void {
    this.#searchStep += 1;
    this.done = this.#searchStep === this.#options.searchSteps;
    this.#constants.next(this.#succeeded);
    this.#succeeded = false;
    this.#step = 0;
    this.#stall.restart();
    this.#x.set(this.#clean);
    this.#y.set(this.#clean);
  }
}

async function takeTurns(classifier: Classifier, searches: readonly EadSearch[]): Promise<void> {
  for (let active = searches; active.length > 0; active = active.filter(({ done }) => !done)) {
    await searchByGradient(
      classifier,
      'margin',
      active.map(({ gradientTurn }) => gradientTurn),
    );
    await searchByLogits(
      classifier,
      active.map(({ logitsTurn }) => logitsTurn),
    );
  }
}

/** See the file's header. Returns the nearest misclassified image by the rule, else the clean one. */
export function ead(options: EadOptions): Attack {
  const { steps = 1000, searchSteps = 9, c = 0.001, beta = 0.001, learningRate = 0.01, confidence = 0, compatibility = 'none' } = options;
  const resolved = { rule: options.rule, steps, searchSteps, c, beta, learningRate, confidence };
  if (compatibility === 'torchattacks') return eadOfTorchattacks(resolved);
  return minimumNorm((clean, label) => new EadSearch(clean, label, resolved), takeTurns);
}
