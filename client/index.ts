/** Everything a submitter does, for the command line and for programs. Prints nothing, reads no environment. */

export {
  type BlobContent,
  type Content,
  filesContent,
  hashContent,
  memoryContent,
  type NamedContent,
} from './content/content.js'
export {
  askWhy,
  type ExplainedJob,
  type ExplainedUnit,
  type ExplainOptions,
  FINDING_CODES,
  type Finding,
  type FindingCode,
} from './explain/explain.js'
export { type JobEnd, jobEnd } from './follow/job-end.js'
export { type Pace, PaceMeter } from './follow/pace.js'
export { type ListedUnit, listUnits, type UnitsOptions } from './follow/units.js'
export {
  type JobProgress,
  type WaitedJob,
  type WaitOptions,
  type WatchOptions,
  waitJobs,
  watchJob,
} from './follow/watch.js'
export { type LaidOut, Layout } from './output/layout.js'
export { nodeFolder } from './output/node-folder.js'
export {
  type Folder,
  type FolderDraft,
  MANIFEST_NAME,
  ResultFolder,
  type ResultFolderOptions,
} from './output/result-folder.js'
export { type AuditFindings, type AuditOptions, Auditor } from './replay/audit.js'
export { type Replay, type ReplayOptions, type ReplayVerdict, replayUnit } from './replay/replay.js'
export type { FetchedFile } from './replay/replay-material.js'
export { type LocalRun, runLocal } from './replay/run-local.js'
export * from './results/answer.js'
export { type FamilyAnswer, FamilyReader } from './results/family.js'
export { type ByteSink, type ReducedAnswers, reduceAnswers } from './results/reduce.js'
export { type ResultsOptions, ResultsReader } from './results/results.js'
export type { Problem } from './results/shard-results.js'
export { type FetchOptions, fetchContent, fetchedContent } from './session/fetched-content.js'
export { type ClientOverlay, type FoundRecord, overlayFace } from './session/overlay-face.js'
export { type PinStorage, Pins } from './session/pins.js'
export { type AskOptions, type ClientParts, GridClient, type KnownJob } from './session/session.js'
export {
  type BuildContext,
  type BuiltJob,
  buildJob,
  type JobRequest,
  minGrantorsOf,
  ownerRadius,
  type SourceRequest,
  type TaskRequest,
} from './submit/job-builder.js'
export { JobList, type ListedJob, type ListStorage } from './submit/job-list.js'
export { addJobRecord, jobListKinds, jobsKey, LISTED_JOBS_MAX, readJobRecords } from './submit/job-records.js'
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
} from './submit/orders.js'
export {
  type SubmitOptions,
  type SubmittedJob,
  signSpec,
  submitJob,
  type UploadProgress,
  uploadContent,
} from './submit/submit.js'
