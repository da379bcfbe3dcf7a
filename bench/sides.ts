/** @file The two processes of a comparison: ours and, under Python, the peer's. */
import { fileURLToPath } from 'node:url';
import { LineProcess } from './line-process.ts';

/** The Python that has the peers' packages. */
export const PEER_PYTHON = process.env.DEEPDEFENSE_PEER_PYTHON ?? '/usr/bin/python3';

export const pathOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** @param script of this folder */
export function startOurs(script: string): LineProcess {
  return new LineProcess({ command: process.execPath, args: ['--import', 'tsx', pathOf(script)] });
}

/** @param script of the folder peer */
export function startPeer(script: string): LineProcess {
  return new LineProcess({
    command: PEER_PYTHON,
    args: [pathOf(`peer/${script}`)],
    // OpenBLAS keeps further threads spinning otherwise, whatever torch.set_num_threads says.
    env: { OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' },
  });
}
