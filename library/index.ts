/**
 * Manyhands for programs: `import { connect } from 'manyhands'`. What stands here is the public face and follows Semantic
 * Versioning; other modules of the package are not to be imported. See docs/library.md.
 */

export type { JobEnd } from '../client/follow/job-end.js'
export type { JobProgress } from '../client/follow/watch.js'
export type { MissingReason, MissingUnits, OverturnedUnit, ResultsSummary } from '../client/results/answer.js'
export type { Amendment, RetryChanges } from '../client/submit/orders.js'
export type {
  Digest,
  JobId,
  JobSpec,
  Limits,
  NodeId,
  Outcome,
  OutputFile,
  Policy,
  PublicKey,
  ReportFact,
  Summary,
  UnitRange,
} from '../proto/model.js'
export { type ErrorCode, GridError } from '../runtime/errors.js'
export type { LogFields, Logger } from '../runtime/logger.js'
export { type ConnectOptions, connect } from './connect.js'
export type { Grid, GridJobEntry, SubmitOptions } from './grid.js'
export type { JobResult, WaitOptions } from './grid-job.js'
export { GridJob } from './grid-job.js'
export type { Results, ResultsOptions, UnitResult } from './results.js'
export type { InputBytes, SourceChoice, SubmitRequest } from './submit-request.js'
