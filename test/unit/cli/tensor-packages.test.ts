import { describe, expect, it } from 'vitest';
import { reportError } from '../../../src/cli/report-error.ts';
import { missingTensorPackage, requireTensorPackages } from '../../../src/cli/tensor-packages.ts';

/** A package that isn't there, as Node.js says it. */
async function importError(name: string): Promise<unknown> {
  return import(`data:text/javascript,import ${JSON.stringify(name)}`).catch((error: unknown) => error);
}

function notFound(name: string): Error {
  return Object.assign(new Error(`Cannot find package '${name}' imported from /app/dist/engine/tensorflow.js`), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
}

describe('tensor packages', () => {
  it('requirement: holds here', () => {
    expect(() => requireTensorPackages()).not.toThrow();
  });

  it.each(['@tensorflow/tfjs', 'onnxruntime-node'])('requirement: names %s when it is missing', (name) => {
    expect(() => requireTensorPackages((each) => each !== name)).toThrow(`"${name}"`);
  });

  it('failed import: says which image has the package', () => {
    let stderr = '';
    const code = reportError(notFound('onnxruntime-node'), { json: false, stdout: () => {}, stderr: (text) => void (stderr += text) });
    expect(code).toBe(6);
    expect(stderr).toMatch(/^error ENGINE_UNAVAILABLE: this command computes with tensors/);
    expect(stderr).toContain('deepdefense/worker-cpu');
  });

  it('failed import: stays what it is when another package is missing', async () => {
    expect(missingTensorPackage(await importError('no-such-package'))).toBeUndefined();
    expect(missingTensorPackage(notFound('echarts'))).toBeUndefined();
    expect(missingTensorPackage(new Error("Cannot find package 'onnxruntime-node'"))).toBeUndefined();
  });
});
