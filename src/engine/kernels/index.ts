/** @file Importing this registers all capture kernels. */
import './elementwise.ts';
import './reductions.ts';
import './shapes.ts';
import './matmul.ts';
import './convolution.ts';
import './pooling.ts';

export { capturedKernels } from './register.ts';
