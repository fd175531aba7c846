/** Everything a submitter does, for the command line and for programs. Prints nothing, reads no environment. */
export * from './answer.js'
export { type AuditFindings, type AuditOptions, Auditor } from './audit.js'
export {
  type BlobContent,
  type Content,
  filesContent,
  hashContent,
  memoryContent,
  type NamedContent,
} from './content.js'
export {
  askWhy,
  type ExplainedJob,
  type ExplainedUnit,
  type ExplainOptions,
  FINDING_CODES,
  type Finding,
  type FindingCode,
} from './explain.js'
export { type FamilyAnswer, FamilyReader } from './family.js'
export { type FetchOptions, fetchContent, fetchedContent } from './fetched-content.js'
export {
  type BuildContext,
  type BuiltJob,
  buildJob,
  type JobRequest,
  minGrantorsOf,
  ownerRadius,
  type SourceRequest,
  type TaskRequest,
} from './job-builder.js'
export { type JobEnd, jobEnd } from './job-end.js'
export { JobList, type ListedJob, type ListStorage } from './job-list.js'
export { addJobRecord, jobListKinds, jobsKey, LISTED_JOBS_MAX, readJobRecords } from './job-records.js'
export { type LaidOut, Layout } from './layout.js'
export { nodeFolder } from './node-folder.js'
export {
  type Amendment,
  amendJob,
  cancelJob,
  childJob,
  type GivenOrder,
  giveOrder,
  type RetryChanges,
  releaseUnits,
  retryJobs,
  sealJob,
} from './orders.js'
export { type ClientOverlay, type FoundRecord, overlayFace } from './overlay-face.js'
export { type PinStorage, Pins } from './pins.js'
export { type Pace, PaceMeter } from './rate.js'
export { type ByteSink, type ReducedAnswers, reduceAnswers } from './reduce.js'
export { type Replay, type ReplayOptions, type ReplayVerdict, replayUnit } from './replay.js'
export type { FetchedFile } from './replay-material.js'
export {
  type Folder,
  type FolderDraft,
  MANIFEST_NAME,
  ResultFolder,
  type ResultFolderOptions,
} from './result-folder.js'
export { type ResultsOptions, ResultsReader } from './results.js'
export { type LocalRun, runLocal } from './run-local.js'
export { type AskOptions, type ClientParts, GridClient, type KnownJob } from './session.js'
export type { Problem } from './shard-results.js'
export {
  type SubmitOptions,
  type SubmittedJob,
  signSpec,
  submitJob,
  type UploadProgress,
  uploadContent,
} from './submit.js'
export { type ListedUnit, listUnits, type UnitsOptions } from './units.js'
export {
  type JobProgress,
  type WaitedJob,
  type WaitOptions,
  type WatchOptions,
  waitJobs,
  watchJob,
} from './watch.js'
