/**
 * @file Preloaded into a built coordinator (`node --import`): gives the model cnn3 15 parameters. Gradients then weigh nothing, and what
 * is left of a step is the protocol's cost.
 */
const { MODELS } = await import('../dist/config/index.js');
Object.assign(MODELS.cnn3, { layers: [{ kind: 'dense', name: 'fc1', inFeatures: 4, outFeatures: 3, relu: false }] });
