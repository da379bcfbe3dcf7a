/**
 * @file Our side of bench/attacks.ts: attacks as an evaluation runs them, on `onnx:cpu` with one thread. Speaks the line protocol described
 * in peer/torchattacks_run.py.
 */
import { createRequire } from 'node:module';
import { createAttack, isMisclassified, sampleRandom, type Samples } from '../src/attacks/index.ts';
import { configSchema, MODELS, type ModelName, parseAttackSpec } from '../src/config/index.ts';
import { createEngine, type Engine } from '../src/engine/index.ts';
import { CompiledClassifier } from '../src/evaluation/index.ts';
import { ATTACK_CASES, type AttackCase } from './attack-cases.ts';
import { readValues } from './inputs.ts';
import { type LineRequest, serveLines } from './line-server.ts';

interface Setup {
  readonly model: ModelName;
  readonly parameters: string;
  readonly images: string;
  readonly labels: string;
  readonly count: number;
}

class AttackSession {
  readonly #classifier: CompiledClassifier;
  readonly #samples: Samples;

  constructor(engine: Engine, { model, parameters, images, labels, count }: Setup) {
    const config = configSchema.parse({ model: { name: model }, engine: { name: 'onnx:cpu', threads: 1 } });
    const data = new Float32Array(readValues(parameters));
    this.#classifier = new CompiledClassifier(config, engine).use({ shape: [data.length], dtype: 'float32', data });
    this.#samples = { count, images: new Float32Array(readValues(images)), labels: new Int32Array(readValues(labels)) };
  }

  async correct(images: Float32Array = this.#samples.images): Promise<number> {
    const { count, labels } = this.#samples;
    const { classes } = MODELS.cnn3;
    const logits = await this.#classifier.logits({ count, images });
    return labels.reduce(
      (sum, label, row) => sum + (isMisclassified(logits.subarray(row * classes, (row + 1) * classes), label) ? 0 : 1),
      0,
    );
  }

  async attack(name: AttackCase, eps: number): Promise<Record<string, number>> {
    const attack = createAttack(parseAttackSpec(ATTACK_CASES[name]), eps);
    const begin = performance.now();
    const cpuBegin = process.cpuUsage();
    const found = await attack(this.#classifier, this.#samples, sampleRandom(1, 0));
    const { user, system } = process.cpuUsage(cpuBegin);
    return { ms: performance.now() - begin, cpuMs: (user + system) / 1000, withstood: await this.correct(found) };
  }
}

let engine: Engine | undefined;
let session: AttackSession | undefined;

async function answer(request: LineRequest): Promise<Record<string, unknown>> {
  switch (request.command) {
    case 'hello': {
      engine = await createEngine({ name: 'onnx:cpu', threads: 1 });
      const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
      return { engine: engine.fingerprint, onnxruntime: version, node: process.versions.node };
    }
    case 'setup':
      if (engine === undefined) throw new Error('"hello" comes first');
      session = new AttackSession(engine, request as unknown as Setup);
      return { correct: await session.correct() };
    case 'attack':
      if (session === undefined) throw new Error('"setup" comes first');
      return session.attack(request.name as AttackCase, Number(request.eps));
    default:
      throw new Error(`unknown command "${request.command}"`);
  }
}

await serveLines(answer);
