/**
 * @file Which devices each engine could use on this machine, or why none and what to install. Loads no tensor package: it
 * asks nvidia-smi and the file system, so that `doctor` and the coordinator may call it.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, cpus, homedir, platform } from 'node:os';
import { basename, delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import type { EngineName } from '../core/index.ts';

/** One device of an engine. */
export interface Device {
  /** What `engine.device` takes. */
  readonly index: number;
  readonly name: string;
  /** Version of the driver, where it is known. */
  readonly driver?: string;
}

/** The devices of one engine; `missing` says why there are none. */
export interface EngineDevices {
  readonly engine: EngineName;
  readonly devices: readonly Device[];
  readonly missing?: Missing;
}

export interface Missing {
  readonly reason: string;
  /** What to install or change. */
  readonly todo: string;
}

/** What this file asks of the machine; tests replace it. */
export interface Machine {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: string;
  readonly arch: string;
  readonly cpu: string;
  /** Output of a program, undefined when it is missing or fails. */
  run(command: string, args: readonly string[]): string | undefined;
  exists(path: string): boolean;
  /** Names in a folder; none when it is missing. */
  list(folder: string): readonly string[];
  /** Undefined when it can't be read. */
  read(path: string): Uint8Array | undefined;
  /** Folder of an npm package that is installed here, or in the folder `from`; undefined when it isn't. */
  packageFolder(name: string, from?: string): string | undefined;
}

const orUndefined = <T>(read: () => T): T | undefined => {
  try {
    return read();
  } catch {
    return undefined;
  }
};

/** The machine that this process runs on. */
export const thisMachine: Machine = {
  env: process.env,
  platform: platform(),
  arch: arch(),
  cpu: cpus()[0]?.model ?? 'CPU',
  run: (command, args) =>
    orUndefined(() => execFileSync(command, args, { encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'ignore'] })),
  exists: existsSync,
  list: (folder) => orUndefined(() => readdirSync(folder).sort()) ?? [],
  read: (path) => orUndefined(() => readFileSync(path)),
  packageFolder: (name, from) =>
    orUndefined(() =>
      dirname(createRequire(from === undefined ? import.meta.url : resolve(from, 'package.json')).resolve(`${name}/package.json`)),
    ),
};

/** The devices of `engine`. */
export function listDevices(engine: EngineName, machine: Machine = thisMachine): EngineDevices {
  const cpu: Device = { index: 0, name: machine.cpu };
  switch (engine) {
    case 'eager':
    case 'onnx:cpu':
      return { engine, devices: [cpu] };
    case 'onnx:webgpu':
      return webgpuDevices(machine);
    case 'onnx:cuda':
    case 'onnx:tensorrt': {
      const missing = providerLibraryMissing(engine === 'onnx:cuda' ? 'cuda' : 'tensorrt', machine);
      return missing ? { engine, devices: [], missing } : nvidiaDevices(engine, machine);
    }
    case 'tensorflow':
      return tensorflowDevices(cpu, machine);
  }
}

function tensorflowDevices(cpu: Device, machine: Machine): EngineDevices {
  const engine = 'tensorflow';
  // src/engine/tensorflow-package.ts, which loads the package, looks where this looks.
  const folder = machine.env.DEEPDEFENSE_TFJS_NODE || undefined;
  if (machine.packageFolder('@tensorflow/tfjs-node-gpu', folder)) return nvidiaDevices(engine, machine);
  if (machine.packageFolder('@tensorflow/tfjs-node', folder)) return { engine, devices: [cpu] };
  return {
    engine,
    devices: [],
    missing: {
      reason: `neither @tensorflow/tfjs-node-gpu nor @tensorflow/tfjs-node is installed${folder === undefined ? '' : ` in "${folder}"`}`,
      todo: 'npm install @tensorflow/tfjs-node (or @tensorflow/tfjs-node-gpu on a machine with CUDA)',
    },
  };
}

/** One GPU that CUDA can use. */
export interface NvidiaGpu extends Device {
  readonly driver: string;
}

/**
 * GPUs in the order in which CUDA counts them: nvidia-smi's, narrowed by CUDA_VISIBLE_DEVICES. Undefined without nvidia-smi.
 * CUDA agrees with nvidia-smi's order only under CUDA_DEVICE_ORDER=PCI_BUS_ID; for equal GPUs the order does not matter.
 */
export function nvidiaGpus(machine: Machine = thisMachine): readonly NvidiaGpu[] | undefined {
  const text = machine.run('nvidia-smi', ['--query-gpu=index,name,driver_version,uuid', '--format=csv,noheader']);
  if (text === undefined) return undefined;
  const all = text
    .split('\n')
    .map((line) => line.split(',').map((cell) => cell.trim()))
    .filter((cells) => cells.length >= 3 && /^\d+$/.test(cells[0] as string))
    .map(([index, name, driver, uuid]) => ({ index: Number(index), name: name as string, driver: driver as string, uuid }));
  const visible = machine.env.CUDA_VISIBLE_DEVICES;
  const kept: typeof all = [];
  if (visible === undefined) kept.push(...all);
  else
    for (const wanted of visible.split(',').map((id) => id.trim())) {
      const gpu = all.find(({ index, uuid }) => String(index) === wanted || (wanted.length > 4 && uuid?.startsWith(wanted)));
      // CUDA ignores everything behind the first name that it doesn't know.
      if (!gpu) break;
      kept.push(gpu);
    }
  return kept.map(({ name, driver }, index) => ({ index, name, driver }));
}

function nvidiaDevices(engine: EngineName, machine: Machine): EngineDevices {
  const devices = nvidiaGpus(machine);
  if (devices === undefined)
    return {
      engine,
      devices: [],
      missing: { reason: 'nvidia-smi is missing or fails', todo: 'install the NVIDIA driver; in a container, start it with its GPUs' },
    };
  if (devices.length > 0) return { engine, devices };
  const visible = machine.env.CUDA_VISIBLE_DEVICES;
  const reason = visible === undefined ? 'nvidia-smi lists no GPU' : `CUDA_VISIBLE_DEVICES="${visible}" leaves no GPU`;
  return { engine, devices, missing: { reason, todo: 'give this process a GPU' } };
}

/** Why ONNX Runtime can't load its provider for NVIDIA GPUs; undefined when its files are there. */
export function providerLibraryMissing(provider: 'cuda' | 'tensorrt', machine: Machine = thisMachine): Missing | undefined {
  if (machine.platform !== 'linux' || machine.arch !== 'x64')
    return {
      reason: `onnxruntime-node has no ${provider} provider for ${machine.platform} on ${machine.arch}`,
      todo: 'use Linux on x64, or the engine onnx:webgpu',
    };
  const folder = machine.packageFolder('onnxruntime-node');
  if (folder === undefined) return { reason: 'onnxruntime-node is not installed', todo: 'npm ci' };
  const files = ['shared', 'cuda', ...(provider === 'tensorrt' ? ['tensorrt'] : [])].map((part) => `libonnxruntime_providers_${part}.so`);
  const absent = files.filter((file) => !machine.exists(join(folder, 'bin', 'napi-v6', 'linux', 'x64', file)));
  if (absent.length === 0) return undefined;
  return {
    reason: `onnxruntime-node lacks ${absent.join(', ')}`,
    todo:
      'ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js (docs/engines.md); it also needs CUDA 12 and cuDNN 9' +
      (provider === 'tensorrt' ? ' and TensorRT 10' : ''),
  };
}

/** A Vulkan driver: the file that names it and its library. */
export interface VulkanDriver {
  /** File name of the driver's description, e.g. `vk_swiftshader_icd.json`. */
  readonly file: string;
  /** Path of its library, undefined when it was not found. */
  readonly library?: string;
}

const LIBRARY_FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib', '/usr/local/lib'];

/** The drivers that a Vulkan loader would try here, in its order. */
export function vulkanDrivers(machine: Machine = thisMachine): readonly VulkanDriver[] {
  const { env } = machine;
  const chosen = env.VK_DRIVER_FILES || env.VK_ICD_FILENAMES;
  const home = env.HOME ?? homedir();
  const standard = [
    env.XDG_CONFIG_HOME ?? join(home, '.config'),
    '/etc',
    env.XDG_DATA_HOME ?? join(home, '.local/share'),
    '/usr/local/share',
    '/usr/share',
  ];
  const folders = standard.map((folder) => join(folder, 'vulkan', 'icd.d'));
  const named = [...(env.VK_ADD_DRIVER_FILES?.split(delimiter) ?? []), ...(chosen?.split(delimiter) ?? [])].filter((path) => path !== '');
  const inFolder = (folder: string): string[] =>
    machine
      .list(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => join(folder, name));
  const paths = [
    ...named.flatMap((path) => (path.endsWith('.json') ? [path] : inFolder(path))),
    ...(chosen ? [] : folders.flatMap(inFolder)),
  ];
  return paths.flatMap((path) => {
    const bytes = machine.read(path);
    const described = bytes && orUndefined(() => JSON.parse(Buffer.from(bytes).toString('utf8')) as { ICD?: { library_path?: string } });
    const name = described?.ICD?.library_path;
    if (!name) return [];
    const candidates = isAbsolute(name)
      ? [name]
      : name.includes('/')
        ? [join(dirname(path), name)]
        : [...libraryFolders(machine), dirname(path)].map((folder) => join(folder, name));
    const library = candidates.find((candidate) => machine.exists(candidate));
    return [{ file: basename(path), ...(library === undefined ? {} : { library }) }];
  });
}

const libraryFolders = ({ env }: Machine): string[] => [
  ...(env.LD_LIBRARY_PATH?.split(delimiter).filter((folder) => folder !== '') ?? []),
  ...LIBRARY_FOLDERS,
];

/** Drivers that compute in software: SwiftShader, which WebGPU accepts, and Mesa's lavapipe, which it refuses. */
const isLavapipe = ({ file }: VulkanDriver): boolean => file.startsWith('lvp_');
const isSwiftShader = ({ file }: VulkanDriver): boolean => file.includes('swiftshader');
const isNvidia = ({ file }: VulkanDriver): boolean => file.startsWith('nvidia');
const INSTALL_VULKAN =
  "install the GPU's Vulkan driver and libvulkan1 (Debian: mesa-vulkan-drivers for AMD and Intel, nvidia-driver for NVIDIA; in a container, pass /dev/dri); " +
  'without a GPU: apt-get install chromium libvulkan1, then VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json';

/**
 * WebGPU takes one adapter of a process, the fastest, and the Node.js binding can't choose another: so at most one device,
 * whose name lists what it may be.
 */
function webgpuDevices(machine: Machine): EngineDevices {
  const engine = 'onnx:webgpu';
  if (machine.platform === 'darwin') return { engine, devices: [{ index: 0, name: "the system's Metal device" }] };
  if (machine.platform === 'win32') return { engine, devices: [{ index: 0, name: "the system's Direct3D 12 device" }] };
  if (machine.platform !== 'linux' || machine.arch !== 'x64')
    return {
      engine,
      devices: [],
      missing: {
        reason: `onnxruntime-node has no webgpu provider for ${machine.platform} on ${machine.arch}`,
        todo: 'use the engine onnx:cpu',
      },
    };
  const none = (reason: string): EngineDevices => ({ engine, devices: [], missing: { reason, todo: INSTALL_VULKAN } });
  if (!libraryFolders(machine).some((folder) => machine.exists(join(folder, 'libvulkan.so.1'))))
    return none('libvulkan.so.1, the Vulkan loader, is missing');
  const drivers = vulkanDrivers(machine).filter(({ library }) => library !== undefined);
  if (drivers.length === 0) return none('no Vulkan driver is installed');
  const named = namesFromVulkaninfo(machine) ?? namesFromFiles(drivers, machine);
  if (named.length > 0) return { engine, devices: [{ index: 0, name: named.join(' or ') }] };
  return none(
    drivers.every(isLavapipe)
      ? "the only Vulkan driver is Mesa's lavapipe, which WebGPU refuses"
      : `the Vulkan drivers ${drivers.map(({ file }) => file).join(', ')} have no device here`,
  );
}

/** Undefined where the program is not installed. */
function namesFromVulkaninfo(machine: Machine): readonly string[] | undefined {
  const text = machine.run('vulkaninfo', ['--summary']);
  if (text === undefined) return undefined;
  const names = [...text.matchAll(/^\s*deviceName\s*=\s*(.+)$/gm)].map((match) => (match[1] as string).trim());
  return names.filter((name) => !name.startsWith('llvmpipe'));
}

function namesFromFiles(drivers: readonly VulkanDriver[], machine: Machine): readonly string[] {
  const nodes = renderNodes(machine);
  return drivers.flatMap((driver) => {
    if (isLavapipe(driver)) return [];
    if (isSwiftShader(driver)) return ['SwiftShader (software)'];
    if (isNvidia(driver)) return (nvidiaGpus(machine) ?? []).map(({ name }) => name);
    return nodes.length > 0 ? [`${driver.file} on PCI ${nodes.join(', ')}`] : [];
  });
}

/** PCI `vendor:device` of each GPU that this process can open. */
function renderNodes(machine: Machine): readonly string[] {
  return machine
    .list('/dev/dri')
    .filter((name) => name.startsWith('renderD'))
    .map((name) => {
      const id = (file: string): string => {
        const bytes = machine.read(`/sys/class/drm/${name}/device/${file}`);
        return bytes === undefined ? '?' : Buffer.from(bytes).toString('utf8').trim().replace(/^0x/, '');
      };
      return `${id('vendor')}:${id('device')}`;
    });
}

/**
 * What of a GPU and its driver can change result bits, as one word for the engine's fingerprint. For WebGPU: every Vulkan driver
 * with the hash of its library and every GPU, because the runtime does not say which one it took.
 */
export function deviceFingerprint(provider: 'webgpu' | 'cuda' | 'tensorrt', device: number, machine: Machine = thisMachine): string {
  const gpuName = ({ name, driver }: NvidiaGpu): string => `${name}/driver-${driver}`;
  const parts: string[] = [];
  if (provider !== 'webgpu') {
    const gpu = nvidiaGpus(machine)?.[device];
    parts.push(gpu ? gpuName(gpu) : 'unknown-gpu');
  } else if (machine.platform !== 'linux') parts.push('system-default');
  else {
    const drivers = vulkanDrivers(machine);
    parts.push(...drivers.map(({ file, library }) => `${file}/${(library && contentHash(machine.read(library))) ?? 'unknown'}`));
    if (drivers.some(isNvidia)) parts.push(...(nvidiaGpus(machine) ?? []).map(gpuName));
    if (!drivers.every((driver) => isLavapipe(driver) || isSwiftShader(driver))) parts.push(...renderNodes(machine));
  }
  return (parts.join('+') || 'unknown').replaceAll(/\s+/g, '-');
}

const contentHash = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && createHash('sha256').update(bytes).digest('hex').slice(0, 12);
