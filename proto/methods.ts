import type { Codec, StreamMethod, UnaryMethod } from '../runtime/transport.js'
import * as admin from './codec/admin.js'
import * as attestation from './codec/attestation.js'
import * as blobs from './codec/blobs.js'
import * as coordinator from './codec/coordinator.js'
import * as exchange from './codec/exchange.js'
import * as explain from './codec/explain.js'
import * as homes from './codec/homes.js'
import * as jobs from './codec/jobs.js'
import * as peerStatus from './codec/peer-status.js'
import * as results from './codec/results.js'

function unary<Request, Response>(
  path: string,
  request: Codec<Request>,
  response: Codec<Response>,
): UnaryMethod<Request, Response> {
  return { path: `/manyhands.v1.${path}`, request, response }
}

function stream<Up, Down>(path: string, up: Codec<Up>, down: Codec<Down>): StreamMethod<Up, Down> {
  return { path: `/manyhands.v1.${path}`, up, down }
}

/**
 * Every method of the services Jobs, Explain, Coordinator, Exchange, Blobs and Admin. Of a server-streaming method `up` is the one
 * request, of a client-streaming one `down` is the one reply. What each does stands in the `.proto` files.
 */
export const methods = {
  // Jobs
  submit: unary('Jobs/Submit', jobs.submitRequestCodec, jobs.submitReplyCodec),
  give: unary('Jobs/Give', jobs.orderRequestCodec, jobs.orderReplyCodec),
  show: unary('Jobs/Show', jobs.showRequestCodec, jobs.showReplyCodec),
  watch: stream('Jobs/Watch', jobs.showRequestCodec, jobs.showReplyCodec),
  listUnits: stream('Jobs/ListUnits', results.unitsRequestCodec, results.unitsReplyCodec),
  results: stream('Jobs/Results', results.resultsRequestCodec, results.resultsReplyCodec),
  output: stream('Jobs/Output', results.outputRequestCodec, results.chunkCodec),
  activate: unary('Jobs/Activate', jobs.activateRequestCodec, jobs.activateReplyCodec),
  summarize: unary('Jobs/Summarize', jobs.summarizeRequestCodec, jobs.summarizeReplyCodec),
  attest: unary('Jobs/Attest', attestation.attestRequestCodec, attestation.attestReplyCodec),
  status: unary('Jobs/Status', peerStatus.statusRequestCodec, peerStatus.statusReplyCodec),
  // Explain
  explain: unary('Explain/Job', explain.explainRequestCodec, explain.explainReplyCodec),
  // Coordinator
  work: stream('Coordinator/Work', coordinator.workerMessageCodec, coordinator.ownerMessageCodec),
  putOutput: stream('Coordinator/PutOutput', coordinator.outputChunkCodec, coordinator.putOutputReplyCodec),
  // Exchange
  offer: unary('Exchange/Offer', exchange.offerRequestCodec, exchange.offerReplyCodec),
  reconcile: unary('Exchange/Reconcile', exchange.reconcileRequestCodec, exchange.reconcileReplyCodec),
  fetchFacts: unary('Exchange/FetchFacts', exchange.fetchFactsRequestCodec, exchange.fetchFactsReplyCodec),
  outstanding: unary('Exchange/Outstanding', exchange.outstandingRequestCodec, exchange.outstandingReplyCodec),
  copyOutput: stream('Exchange/CopyOutput', results.outputRequestCodec, results.chunkCodec),
  // Homes
  keepJob: unary('Homes/Keep', homes.keepJobRequestCodec, homes.keepJobReplyCodec),
  compareJobs: unary('Homes/Compare', homes.compareJobsRequestCodec, homes.compareJobsReplyCodec),
  // Blobs
  blobStat: unary('Blobs/Stat', blobs.blobStatRequestCodec, blobs.blobStatReplyCodec),
  blobPut: stream('Blobs/Put', blobs.blobPutCodec, blobs.blobPutReplyCodec),
  blobManifest: stream('Blobs/Manifest', blobs.blobManifestRequestCodec, blobs.blobManifestPartCodec),
  blobGet: stream('Blobs/Get', blobs.blobGetRequestCodec, blobs.blobChunkCodec),
  // Admin, on the socket of a process alone
  adminWatch: stream('Admin/Watch', admin.watchProcessRequestCodec, admin.processStateCodec),
  adminLog: stream('Admin/Log', admin.logRequestCodec, admin.logEntryCodec),
  adminPrefer: unary('Admin/Prefer', admin.preferRequestCodec, admin.preferReplyCodec),
  adminPause: unary('Admin/Pause', admin.pauseRequestCodec, admin.adminReplyCodec),
  adminResume: unary('Admin/Resume', admin.resumeRequestCodec, admin.adminReplyCodec),
  adminDrain: unary('Admin/Drain', admin.drainRequestCodec, admin.adminReplyCodec),
} as const
