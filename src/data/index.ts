export { type Augmentation, fillTestBatch, fillTrainBatch } from './batch.ts';
export { cacheFolderOf, type Environment } from './cache-folder.ts';
export { CIFAR10_ARCHIVE, CIFAR10_CLASS_NAMES, CIFAR10_FOLDER, CIFAR10_MD5, CIFAR10_URL, UNVERIFIED_NAME } from './cifar10-layout.ts';
export { type Cifar10Copy, holdsCifar10, readCifar10 } from './cifar10-reader.ts';
export {
  CLASS_COUNT,
  contentHashOf,
  createDataset,
  type Dataset,
  type DatasetHeader,
  datasetByteLength,
  datasetFromRecords,
  datasetHeader,
  datasetRecords,
  IMAGE_BYTES,
  IMAGE_SIDE,
  type ImageSet,
  limitDataset,
  PLANE_BYTES,
  RECORD_BYTES,
} from './dataset.ts';
export {
  type DataCheck,
  type DatasetDescription,
  type DatasetVerification,
  describeDataset,
  type ImageSetDescription,
  verifyDataset,
} from './describe-dataset.ts';
export { type DownloadOptions, type DownloadProgress, downloadFile } from './download.ts';
export { fetchedDatasetPath, readFetchedDataset, writeFetchedDataset } from './fetched-cache.ts';
export { type DataProgress, type GetCifar10Options, getCifar10, OFFICIAL_NAME } from './get-cifar10.ts';
export {
  type DataPlace,
  dataPlaces,
  type OpenDatasetOptions,
  type OpenedDataset,
  openDataset,
  openDatasetWithOrigin,
} from './open-dataset.ts';
export { type ChangedSample, changedSamples, hashSamples } from './sample-hashes.ts';
export { SampleOrder, type SamplePick } from './sample-order.ts';
export { stratifiedIndices } from './stratified.ts';
export { SYNTHETIC_CLASS_NAMES, type SyntheticOptions, syntheticDataset } from './synthetic.ts';
