/**
 * @file Imported before the runtime: from 1.30 on ONNX Runtime sends usage data to its maker and writes mat-debug-*.log files to the
 * temporary folder unless it is told not to. ORT_DISABLE_TELEMETRY=0 lets it.
 */
process.env.ORT_DISABLE_TELEMETRY ??= '1';
