import { describe, expect, test } from 'vitest';
import { deviceFingerprint, listDevices, type Machine, nvidiaGpus, thisMachine, vulkanDrivers } from '../../../src/engine/devices.ts';

const SMI = 'nvidia-smi --query-gpu=index,name,driver_version,uuid --format=csv,noheader';
const TWO_GPUS = '0, NVIDIA A100-SXM4-40GB, 550.54.15, GPU-aaaa-1\n1, NVIDIA T4, 550.54.15, GPU-bbbb-2\n';
const ICD = (library: string): string => JSON.stringify({ file_format_version: '1.0.0', ICD: { library_path: library } });

interface Fake {
  readonly env?: Record<string, string>;
  readonly platform?: string;
  readonly arch?: string;
  /** Output by command line. */
  readonly commands?: Record<string, string>;
  /** Content by path. */
  readonly files?: Record<string, string>;
  readonly packages?: Record<string, string>;
}

function machine({ env = {}, platform = 'linux', arch = 'x64', commands = {}, files = {}, packages = {} }: Fake): Machine {
  return {
    env: { HOME: '/home/u', ...env },
    platform,
    arch,
    cpu: 'Some CPU',
    run: (command, args) => commands[[command, ...args].join(' ')],
    exists: (path) => path in files,
    list: (folder) =>
      Object.keys(files)
        .filter((path) => path.startsWith(`${folder}/`) && !path.slice(folder.length + 1).includes('/'))
        .map((path) => path.slice(folder.length + 1)),
    read: (path) => (files[path] === undefined ? undefined : Buffer.from(files[path])),
    packageFolder: (name) => packages[name],
  };
}

const LOADER = { '/usr/lib/x86_64-linux-gnu/libvulkan.so.1': '' };
const SWIFTSHADER = { '/opt/sw/vk_swiftshader_icd.json': ICD('./libvk_swiftshader.so'), '/opt/sw/libvk_swiftshader.so': 'code' };
const RADEON = {
  '/usr/share/vulkan/icd.d/radeon_icd.x86_64.json': ICD('/usr/lib/x86_64-linux-gnu/libvulkan_radeon.so'),
  '/usr/lib/x86_64-linux-gnu/libvulkan_radeon.so': 'radeon',
};
const LAVAPIPE = {
  '/usr/share/vulkan/icd.d/lvp_icd.x86_64.json': ICD('/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so'),
  '/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so': 'lvp',
};

test('listDevices: gives the CPU for engines of the CPU', () => {
  for (const engine of ['eager', 'onnx:cpu'] as const)
    expect(listDevices(engine, machine({}))).toEqual({ engine, devices: [{ index: 0, name: 'Some CPU' }] });
});

test('listDevices: reads this machine without failing', () => {
  for (const engine of ['eager', 'tensorflow', 'onnx:cpu', 'onnx:webgpu', 'onnx:cuda', 'onnx:tensorrt'] as const) {
    const { devices, missing } = listDevices(engine, thisMachine);
    expect(missing === undefined).toBe(devices.length > 0);
  }
});

describe('NVIDIA GPUs', () => {
  const packages = { 'onnxruntime-node': '/m/onnxruntime-node' };
  const provider = (part: string) => ({ [`/m/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_${part}.so`]: '' });
  const both = { ...provider('shared'), ...provider('cuda') };

  test('names the missing files of the provider and how to install them', () => {
    const cuda = listDevices('onnx:cuda', machine({ packages, files: provider('shared'), commands: { [SMI]: TWO_GPUS } }));
    expect(cuda.devices).toEqual([]);
    expect(cuda.missing?.reason).toBe('onnxruntime-node lacks libonnxruntime_providers_cuda.so');
    expect(cuda.missing?.todo).toContain('ONNXRUNTIME_NODE_INSTALL=cuda12');
    expect(listDevices('onnx:tensorrt', machine({ packages, files: both })).missing?.reason).toContain(
      'libonnxruntime_providers_tensorrt.so',
    );
    expect(listDevices('onnx:cuda', machine({ packages, arch: 'arm64' })).missing?.reason).toContain('linux on arm64');
  });

  test.each([
    ['the driver is missing', {}, {}, 'nvidia-smi is missing or fails'],
    ['there is no GPU', {}, { [SMI]: '' }, 'nvidia-smi lists no GPU'],
    ['all are hidden', { CUDA_VISIBLE_DEVICES: '-1' }, { [SMI]: TWO_GPUS }, 'CUDA_VISIBLE_DEVICES="-1" leaves no GPU'],
  ])('says so when %s', (_, env, commands, reason) => {
    const found = listDevices('onnx:cuda', machine({ packages, files: both, env: env as Record<string, string>, commands }));
    expect(found).toMatchObject({ devices: [], missing: { reason } });
  });

  test('lists them with driver, counted as CUDA counts them', () => {
    const commands = { [SMI]: TWO_GPUS };
    const names = (env: Record<string, string>) => nvidiaGpus(machine({ env, commands }))?.map(({ index, name }) => [index, name]);
    expect(listDevices('onnx:cuda', machine({ packages, files: both, commands })).devices).toEqual([
      { index: 0, name: 'NVIDIA A100-SXM4-40GB', driver: '550.54.15' },
      { index: 1, name: 'NVIDIA T4', driver: '550.54.15' },
    ]);
    expect(names({ CUDA_VISIBLE_DEVICES: '1,0' })).toEqual([
      [0, 'NVIDIA T4'],
      [1, 'NVIDIA A100-SXM4-40GB'],
    ]);
    expect(names({ CUDA_VISIBLE_DEVICES: 'GPU-bbbb,7,0' })).toEqual([[0, 'NVIDIA T4']]);
  });

  test('are in the fingerprint by name and driver', () => {
    expect(deviceFingerprint('cuda', 1, machine({ commands: { [SMI]: TWO_GPUS } }))).toBe('NVIDIA-T4/driver-550.54.15');
    expect(deviceFingerprint('tensorrt', 0, machine({}))).toBe('unknown-gpu');
  });
});

describe('WebGPU', () => {
  const webgpu = (fake: Fake) => listDevices('onnx:webgpu', machine(fake));

  test.each([
    ['the loader is missing', { files: RADEON }, 'libvulkan.so.1'],
    ['no driver is installed', { files: LOADER }, 'no Vulkan driver'],
    ['the chosen driver is missing', { files: { ...LOADER, ...RADEON }, env: { VK_ICD_FILENAMES: '/nowhere.json' } }, 'no Vulkan driver'],
    ['there is lavapipe alone', { files: { ...LOADER, ...LAVAPIPE } }, 'lavapipe'],
    ['a driver has no GPU', { files: { ...LOADER, ...RADEON } }, 'radeon_icd.x86_64.json have no device'],
  ])('says so when %s', (_, fake, reason) => {
    const { devices, missing } = webgpu(fake as Fake);
    expect(devices).toEqual([]);
    expect(missing?.reason).toContain(reason);
    expect(missing?.todo).toContain('chromium');
  });

  test('takes the driver that VK_ICD_FILENAMES names', () => {
    const fake = { files: { ...LOADER, ...SWIFTSHADER, ...RADEON }, env: { VK_ICD_FILENAMES: '/opt/sw/vk_swiftshader_icd.json' } };
    expect(webgpu(fake).devices).toEqual([{ index: 0, name: 'SwiftShader (software)' }]);
    expect(vulkanDrivers(machine(fake))).toEqual([{ file: 'vk_swiftshader_icd.json', library: '/opt/sw/libvk_swiftshader.so' }]);
    // The first twelve digits of the SHA-256 of "code".
    expect(deviceFingerprint('webgpu', 0, machine(fake))).toBe('vk_swiftshader_icd.json/5694d08a2e53');
  });

  test('names GPUs by vulkaninfo, or by their render nodes', () => {
    const files = {
      ...LOADER,
      ...RADEON,
      '/dev/dri/renderD128': '',
      '/sys/class/drm/renderD128/device/vendor': '0x1002\n',
      '/sys/class/drm/renderD128/device/device': '0x73bf\n',
    };
    const summary = 'GPU0:\n\tdeviceName         = AMD Radeon RX 6800 XT (RADV NAVI21)\nGPU1:\n\tdeviceName         = llvmpipe (LLVM 15)\n';
    expect(webgpu({ files }).devices[0]?.name).toBe('radeon_icd.x86_64.json on PCI 1002:73bf');
    expect(webgpu({ files, commands: { 'vulkaninfo --summary': summary } }).devices[0]?.name).toBe('AMD Radeon RX 6800 XT (RADV NAVI21)');
    expect(deviceFingerprint('webgpu', 0, machine({ files }))).toMatch(/^radeon_icd\.x86_64\.json\/[0-9a-f]{12}\+1002:73bf$/);
  });

  test('leaves the choice to the system where there is no Vulkan', () => {
    expect(webgpu({ platform: 'darwin', arch: 'arm64' }).devices).toHaveLength(1);
    expect(webgpu({ platform: 'win32' }).devices).toHaveLength(1);
    expect(webgpu({ arch: 'arm64' }).missing?.reason).toContain('linux on arm64');
  });
});

test('tensorflow: needs one of its packages', () => {
  const packages = { '@tensorflow/tfjs-node': '/m/tfjs-node' };
  expect(listDevices('tensorflow', machine({})).missing?.todo).toContain('@tensorflow/tfjs-node');
  expect(listDevices('tensorflow', machine({ packages })).devices).toEqual([{ index: 0, name: 'Some CPU' }]);
  expect(listDevices('tensorflow', machine({ packages: { '@tensorflow/tfjs-node-gpu': '/m' } })).missing?.reason).toContain('nvidia-smi');
});
