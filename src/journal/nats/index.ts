export { checkTaskId, LEADERS_BUCKET, type SweepNames, sweepNames } from './names.ts';
export { isConflict, isTransient, JS_ERROR, jetStreamCode, natsError } from './errors.ts';
export { type NatsLink, type NatsOptions, openNatsLink } from './link.ts';
export { isSecure } from './tls.ts';
export { checkConfig, describeStream, ensureStream, findDefinition, type StreamWish } from './streams.ts';
