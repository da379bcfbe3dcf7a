export type { CandidateRecord, MeasurementRecord, ObjectiveRecord, ParameterValue, SweepRecord } from './sweep-record.ts';
