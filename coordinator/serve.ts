import { isLoopback } from '../overlay/address.js'
import { PerMinute } from '../overlay/per-minute.js'
import { orderCodec } from '../proto/codec/facts.js'
import type { ExplainReply, ExplainRequest } from '../proto/explain-messages.js'
import type { StatusReply } from '../proto/job-messages.js'
import { methods } from '../proto/methods.js'
import type { Clock } from '../runtime/clock.js'
import { GridError } from '../runtime/errors.js'
import { takeRequest } from '../runtime/take-request.js'
import type { Transport } from '../runtime/transport.js'
import type { HomeDriver } from './home/home-driver.js'
import type { JobBook } from './jobs/job-book.js'
import type { CoordinatorOptions } from './options.js'
import type { OwnedShards } from './owner/owned-shards.js'
import type { GrantSigner } from './owner/owner-context.js'
import type { OwnerDriver } from './owner/owner-driver.js'
import { attest } from './services/attest.js'
import { ExplainBudget } from './services/explain-budget.js'
import type { ResultsService } from './services/results-service.js'

/** Who answers what a coordinator is asked. */
interface Answering {
  readonly clock: Clock
  readonly transport: Transport
  readonly signer: GrantSigner
  readonly options: CoordinatorOptions
  readonly book: JobBook
  readonly home: HomeDriver
  readonly owner: OwnerDriver
  readonly shards: OwnedShards
  readonly results: ResultsService
  readonly status: () => StatusReply
  readonly explain: (request: ExplainRequest) => Promise<ExplainReply>
}

/** Registers a handler for each method of submitters, workers and homes. Those of other owners are the exchange's. */
export function serve(answering: Answering): void {
  serveJobs(answering)
  serveShards(answering)
  serveWorkers(answering)
}

function serveJobs({ clock, transport, options, home, owner, status, explain }: Answering): void {
  const submitted = new PerMinute(clock, options.jobsPerAddressMinuteMax)
  transport.handleUnary(methods.submit, ({ spec }, { host }) => {
    if (!isLoopback(host) && !submitted.take(host))
      throw new GridError(
        'quota',
        `this peer takes at most ${options.jobsPerAddressMinuteMax} jobs a minute from one address`,
      )
    return home.submit(spec, host)
  })
  transport.handleUnary(methods.give, ({ order }) => home.give(orderCodec.decode(order.bytes).jobId, order))
  transport.handleUnary(methods.show, ({ jobId, withShards }) => home.show(jobId, withShards))
  transport.handleStream(methods.watch, (stream) =>
    takeRequest(clock, stream, ({ jobId, withShards }) => home.watch(stream, jobId, withShards)),
  )
  transport.handleUnary(methods.status, status)
  const explained = new ExplainBudget(clock)
  transport.handleUnary(methods.explain, (request, { host }) => {
    explained.take(host, owner.core.waitingUnits(request.jobId))
    return explain(request)
  })
}

function serveShards({ clock, transport, signer, book, home, shards, results }: Answering): void {
  transport.handleUnary(methods.activate, (request, { host }) => shards.activate(request, host))
  transport.handleUnary(methods.summarize, ({ jobId, shards, orders }, caller) =>
    home.summarized(jobId, shards, orders, caller),
  )
  transport.handleUnary(methods.attest, async ({ jobId, shard }, { publicKey }) =>
    attest(await shards.inMemory(book.need(jobId), shard), publicKey, signer, clock.wallMs()),
  )
  transport.handleStream(methods.results, (stream) =>
    takeRequest(clock, stream, (request) => results.results(stream, request)),
  )
  transport.handleStream(methods.listUnits, (stream) =>
    takeRequest(clock, stream, (request) => results.listUnits(stream, request)),
  )
  transport.handleStream(methods.output, (stream) =>
    takeRequest(clock, stream, (request) => results.output(stream, request)),
  )
}

function serveWorkers({ transport, owner }: Answering): void {
  transport.handleStream(methods.work, (stream) => owner.onWork(stream))
  transport.handleStream(methods.putOutput, (stream) => owner.onPutOutput(stream))
}
