export { type JetStreamQueueOptions, openJetStreamQueue } from './jetstream-queue.ts';
export { type JetStreamSourceOptions, openJetStreamSource } from './jetstream-source.ts';
