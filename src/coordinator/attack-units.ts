/**
 * @file The work of `deepdefense evaluate`, cut into units that one worker does in one go: one network, one attack at one radius, some
 * images. Results don't depend on how the images are cut.
 */
import { attackPasses, type AttackSpec, describeAttack, formatAttackSpec, type Norm } from '../config/index.ts';
import { sha256 } from '../core/index.ts';

/** One network under one attack at one radius. */
export interface AttackPass {
  readonly network: number;
  /** Index into the attacks; -1 = the images as they are. */
  readonly attack: number;
  /** Radius in [0,1] pixel units; null without an attack and for minimum-norm attacks. */
  readonly eps: number | null;
  /** Networks that are tried on the attacked images. */
  readonly targets: readonly number[];
  /** Passes through the network that one image takes, by estimate. */
  readonly passesPerImage: number;
}

/** Some images of an {@link AttackPass}. */
export interface AttackUnit extends AttackPass {
  /** As it goes to a worker; empty = no attack. */
  readonly text: string;
  /** Indices into the test set. */
  readonly images: readonly number[];
  /** Position of the first of them among the images of the evaluation. */
  readonly first: number;
  /** Says what is computed, so that a finished unit is found again. */
  readonly key: string;
}

export interface PassesOptions {
  readonly networks: number;
  readonly attacks: readonly AttackSpec[];
  /** Radii by norm; those of 0 need no attack and get no pass. */
  readonly radii: Readonly<Partial<Record<Norm, readonly number[]>>>;
  /** Bounded attacks are tried on the other networks, too. */
  readonly transfer: boolean;
}

/** The images as they are, for each network. */
export function cleanPasses(networks: number): AttackPass[] {
  return Array.from({ length: networks }, (_, network) => ({ network, attack: -1, eps: null, targets: [], passesPerImage: 1 }));
}

/** All attacks, cheap ones first, so that a report can be written early. */
export function attackPassesOf({ networks, attacks, radii, transfer }: PassesOptions): AttackPass[] {
  const all = Array.from({ length: networks }, (_, network) => network);
  const passes = attacks.flatMap((spec, attack) => {
    const bounded = describeAttack(spec.name).kind === 'bounded';
    const sizes = bounded ? (radii[spec.norm] ?? []).filter((eps) => eps > 0) : [null];
    const passesPerImage = attackPasses(spec);
    return sizes.flatMap((eps) =>
      all.map((network): AttackPass => {
        const targets = transfer && bounded ? all.filter((other) => other !== network) : [];
        return { network, attack, eps, targets, passesPerImage };
      }),
    );
  });
  return passes.sort((a, b) => a.passesPerImage - b.passesPerImage);
}

/**
 * A unit takes at most so many passes: up to a minute on one processor core for cnn3, eight for vgg6. Units of few images would leave batches
 * half empty, because images leave them as soon as the attack is done with them.
 */
const PASSES_PER_UNIT = 200_000;
/** However long the attack is: what is misclassified to begin with leaves a single batch half empty. */
const LEAST_BATCHES = 2;
/** Every pass is cut into at least so many units, where a batch allows, so that all workers have something to do to the end. */
const UNITS_PER_PASS = 8;

/** The last pass ends in smaller units, each so many times smaller than what is left, so that workers end at about the same time. */
const LAST_SHARES = 4;

export interface CutOptions {
  readonly attacks: readonly AttackSpec[];
  readonly images: readonly number[];
  readonly batchSize: number;
  /** No further pass gives the workers something to do at its end. */
  readonly isLast: boolean;
}

/** The units of a pass. A unit holds whole batches but for the last one. */
export function cutIntoUnits(pass: AttackPass, { attacks, images, batchSize, isLast }: CutOptions): AttackUnit[] {
  const spec = attacks[pass.attack];
  const text = spec === undefined ? '' : formatAttackSpec(spec);
  const least = LEAST_BATCHES * batchSize;
  const affordable = Math.max(PASSES_PER_UNIT / pass.passesPerImage, least);
  const most = Math.min(affordable, images.length / UNITS_PER_PASS);
  const units: AttackUnit[] = [];
  for (let first = 0; first < images.length; first += units.at(-1)?.images.length ?? 0) {
    const share = isLast ? Math.max((images.length - first) / LAST_SHARES, least) : images.length;
    const size = Math.max(1, Math.floor(Math.min(most, share) / batchSize)) * batchSize;
    const here = images.slice(first, first + size);
    const key = sha256(JSON.stringify([pass.network, text, pass.eps, pass.targets, here])).slice(0, 32);
    units.push({ ...pass, text, images: here, first, key });
  }
  return units;
}
