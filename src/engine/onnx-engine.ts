/**
 * @file The captured engine: programs become ONNX graphs that ONNX Runtime compiles and runs. `run` computes on the
 * calling thread, so it belongs in a worker thread.
 */
import { PACKAGE_VERSION, type TensorSpec, type TensorValue } from '../core/index.ts';
import { probeBlockSize } from './blocked-convolution.ts';
import { captureProgram } from './capture-program.ts';
import { checkInputs } from './check-inputs.ts';
import { cpuFeatures } from './cpu-features.ts';
import { deviceFingerprint } from './devices.ts';
import { type Provider, runtimeError, type SessionOptions } from './onnx-providers.ts';
import { openSession, probeProvider, RUNTIME_VERSION, type RuntimeTensor, type Session, toRuntimeTensor } from './onnx-session.ts';
import { capturedOutputName, type ModelPart, partition } from './partition.ts';
import type { CompiledProgram, Engine, Program, TensorValues } from './types.ts';

export interface OnnxEngineOptions {
  readonly name: `onnx:${Provider}`;
  /** Intra-op threads of every session, >= 1. */
  readonly threads: number;
  /** Index of the device; only 0 for `onnx:cpu` and `onnx:webgpu`. */
  readonly device?: number;
  /** Channels per block of convolutions, 1 for the standard operator; found by trial where left out. */
  readonly blockSize?: number | undefined;
}

/**
 * Opens the engine on one of ONNX Runtime's execution providers. Single operators that a provider lacks run on the CPU
 * (docs/engines.md lists them), never the whole engine.
 * @throws DeepDefenseError ENGINE_UNAVAILABLE when the provider or the device isn't there, or computes wrongly
 */
export async function createOnnxEngine({ name, threads, device = 0, blockSize: forcedBlockSize }: OnnxEngineOptions): Promise<Engine> {
  const provider = name.slice('onnx:'.length) as Provider;
  const options: SessionOptions = { provider, threads, device };
  let probe = await probeProvider(options);
  // The blocked operators belong to the CPU provider.
  const blockSize = forcedBlockSize ?? (provider === 'cpu' ? await probeBlockSize(options) : 1);
  const compiled = new Set<CompiledProgram>();
  return {
    name,
    fingerprint: [
      `${name} ort-${RUNTIME_VERSION}`,
      ...(provider === 'cpu' ? [] : [deviceWord(provider, device)]),
      // Threads and CPU count on a device too: some operators run on the CPU there.
      `threads=${threads} block=${blockSize} ${process.arch} ${cpuFeatures()} deepdefense-${PACKAGE_VERSION}`,
    ].join(' '),
    compile: async (program) => {
      const result = await compileProgram(program, blockSize, options);
      compiled.add(result);
      return result;
    },
    dispose: async () => {
      for (const program of compiled) await program.dispose();
      compiled.clear();
      await probe?.release();
      probe = undefined;
    },
  };
}

function deviceWord(provider: Exclude<Provider, 'cpu'>, device: number): string {
  // TF32 multiplies with ten bits of mantissa; the binding can't turn it off, NVIDIA's own variable can.
  const tf32 = provider === 'webgpu' ? '' : ` tf32=${process.env.NVIDIA_TF32_OVERRIDE === '0' ? 'off' : 'on'}`;
  return `device=${deviceFingerprint(provider, device)}${tf32}`;
}

type Feeds = Record<string, RuntimeTensor>;

async function compileProgram(program: Program, blockSize: number, options: SessionOptions): Promise<CompiledProgram> {
  const started = performance.now();
  const captured = captureProgram(program, blockSize);
  const { prologue, main } = partition(program.name, captured, program.stableInputs ?? []);
  const capturedAt = performance.now();
  const mainSession = await openSession(program.name, main.bytes, options, program);
  const prologueSession = prologue && (await openSession(`${program.name}/prologue`, prologue.bytes, options, program));
  const compileMs = { capture: capturedAt - started, session: performance.now() - capturedAt };

  const stable = new Set(program.stableInputs ?? []);
  const stableTensors = new Map<string, { value: TensorValue; tensor: RuntimeTensor }>();
  let hoisted: Feeds | undefined;
  let disposed = false;

  const runPart = async (session: Session, part: ModelPart, feeds: Feeds): Promise<Feeds> => {
    const wanted: Feeds = {};
    for (const name of part.inputs) wanted[name] = feeds[name] as RuntimeTensor;
    try {
      return (await session.run(wanted)) as Feeds;
    } catch (cause) {
      throw runtimeError(`ONNX Runtime failed in "${program.name}"`, cause, 'report this as a bug with the message above', program);
    }
  };

  return {
    name: program.name,
    outputs: captured.outputs.map(({ spec }) => spec),
    compileMs,
    run: async (inputs) => {
      const values = checkInputs(program.name, program.inputs, inputs);
      const feeds: Feeds = {};
      let changed = false;
      captured.inputs.forEach(({ name, value: { name: graphName } }, i) => {
        const value = values[i] as TensorValue;
        const known = stableTensors.get(name);
        if (known?.value === value) {
          feeds[graphName] = known.tensor;
          return;
        }
        const tensor = toRuntimeTensor(value);
        feeds[graphName] = tensor;
        if (stable.has(name)) {
          stableTensors.set(name, { value, tensor });
          changed = true;
        }
      });
      if (prologueSession && prologue && (changed || !hoisted)) hoisted = await runPart(prologueSession, prologue, feeds);
      const results = await runPart(mainSession, main, { ...feeds, ...hoisted });
      return readOutputs(
        captured.outputs.map(({ spec }) => spec),
        results,
      );
    },
    dispose: async () => {
      if (disposed) return;
      disposed = true;
      await mainSession.release();
      await prologueSession?.release();
    },
  };
}

function readOutputs(specs: readonly TensorSpec[], results: Feeds): TensorValues {
  const values: Record<string, TensorValue> = {};
  for (const { name, shape, dtype } of specs) {
    const data = (results[capturedOutputName(name)] as RuntimeTensor).data;
    values[name] = { shape, dtype, data: data as TensorValue['data'] };
  }
  return values;
}
