/** @file The one place that imports TensorFlow.js for the rest of the project, with the gradients that it lacks. */
import * as tf from '@tensorflow/tfjs';
import './missing-gradients.ts';

// Production mode drops the library's greeting on the console and its NaN scans.
tf.enableProdMode();

export { tf };
