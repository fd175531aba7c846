import { rulingBatches } from '../../job/audit/ruling-orders.js'
import { checkSpec, JOB_LIFE_MS } from '../../job/spec/spec.js'
import { mergeRanges } from '../../job/units/selection.js'
import { unitCount } from '../../job/units/unit-source.js'
import { orderCodec } from '../../proto/codec/facts.js'
import { EXTENDED_LIFE_MS_MAX, PRIORITY_MAX, RULING_ORDERS_MAX, SELECTION_RANGES_MAX } from '../../proto/limits.js'
import { methods } from '../../proto/methods.js'
import type {
  JobId,
  JobSpec,
  Limits,
  NodeId,
  OrderBody,
  Policy,
  Ruling,
  UnitRange,
  UnitState,
} from '../../proto/model.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { toHex } from '../../runtime/hex.js'
import { listUnits } from '../follow/units.js'
import type { AskOptions, GridClient, KnownJob } from '../session/session.js'
import type { BuiltJob } from './job-builder.js'

/** An order that the home has on disk. */
export interface GivenOrder {
  readonly seq: number
  readonly holders: readonly NodeId[]
  readonly wanted: number
  readonly job: KnownJob
}

/**
 * Signs and gives an order about a job; it gets the next sequence number after those its home knows. Rejects with GridError
 * `forbidden` for a job of another submitter, else as {@link GridClient.askAny}.
 */
export async function giveOrder(
  client: GridClient,
  jobId: JobId,
  body: OrderBody | ((job: KnownJob) => OrderBody),
  options: AskOptions = {},
): Promise<GivenOrder> {
  const { signer, clock } = client.parts
  const job = await client.job(jobId, options)
  const said = typeof body === 'function' ? body(job) : body
  if (job.spec.submitter !== signer.publicKey && !(said.type === 'rulings' && mayRule(client, job))) {
    throw new GridError('forbidden', 'only the submitter of a job gives orders about it', {
      hint: 'use the data directory that the job was submitted from',
    })
  }
  if (job.view.removed) throw new GridError('expired', 'the job was removed by its submitter')
  const seq = job.orders.reduce((highest, { order }) => Math.max(highest, order.seq), 0) + 1
  const bytes = orderCodec.encode({
    jobId,
    seq,
    createdAtMs: clock.wallMs(),
    body: said,
  })
  const order = { bytes, signature: signer.sign('order', bytes) }
  const guards = client.guards(jobId)
  const { holders, wanted } = await client.askHome(jobId, methods.give, { order }, options)
  await client.tellGuards(guards, { spec: job.signed, orders: [order] })
  return { seq, holders, wanted, job }
}

/** Whether this key may rule on units of the job. */
export function mayRule({ parts: { signer } }: GridClient, { spec }: Pick<KnownJob, 'spec'>): boolean {
  return spec.submitter === signer.publicKey || spec.judges.includes(signer.publicKey)
}

/** Orders with rulings that the job has of the submitter, if this key is that, else of all judges. */
export function rulingOrders({ parts: { signer } }: GridClient, { spec, orders }: KnownJob): number {
  const isSubmitter = signer.publicKey === spec.submitter
  return orders.filter(
    ({ order: { body } }) => body.type === 'rulings' && (body.judge === spec.submitter) === isSubmitter,
  ).length
}

/**
 * Gives rulings in as few orders as they fit. Those that do not fit into what the job takes are left out, the last first;
 * resolves to how many were given. Rejects as {@link giveOrder}.
 */
export async function giveRulings(
  client: GridClient,
  { jobId, spec }: Pick<KnownJob, 'jobId' | 'spec'>,
  rulings: readonly Ruling[],
  options: AskOptions = {},
): Promise<number> {
  const judge = client.parts.signer.publicKey
  let given = 0
  for (const batch of rulingBatches(rulings)) {
    if (rulingOrders(client, await client.job(jobId, options)) >= RULING_ORDERS_MAX) break
    await giveOrder(client, jobId, { type: 'rulings', judge, profile: spec.profile, rulings: batch }, options)
    given += batch.length
  }
  return given
}

/** Stops a job for good: nothing more is granted; what is settled stays until the job expires. */
export function cancelJob(client: GridClient, jobId: JobId, options?: AskOptions): Promise<GivenOrder> {
  return giveOrder(client, jobId, { type: 'cancel' }, options)
}

/**
 * Cancels a job and lets its owners drop reports and outputs at once. Given as two orders, for homes that know only the
 * first: these stop the job and keep it until it expires.
 */
export async function removeJob(client: GridClient, jobId: JobId, options?: AskOptions): Promise<GivenOrder> {
  const cancelled = await cancelJob(client, jobId, options)
  try {
    return await giveOrder(client, jobId, { type: 'remove' }, options)
  } catch (error) {
    if (toGridError(error).code !== 'invalid') throw error
    return cancelled
  }
}

/** What {@link amendJob} may change; expiry and instances only ever widen. */
export interface Amendment {
  /** Added to the present expiry, or to now where that is past; 90 days from now is the limit. Unit: ms, above 0. */
  readonly extendByMs?: number
  /** -100 to 100. */
  readonly priority?: number
  readonly maxInstances?: number
}

/** Extends a job, or changes its priority among the submitter's own. Rejects with `invalid` for an empty amendment. */
export function amendJob(
  client: GridClient,
  jobId: JobId,
  { extendByMs, priority, maxInstances }: Amendment,
  options?: AskOptions,
): Promise<GivenOrder> {
  if (extendByMs === undefined && priority === undefined && maxInstances === undefined) {
    throw new GridError('invalid', 'the amendment changes nothing')
  }
  if (extendByMs !== undefined && !(extendByMs > 0)) throw new GridError('invalid', 'a job can only be extended')
  if (priority !== undefined && !(Number.isInteger(priority) && Math.abs(priority) <= PRIORITY_MAX))
    throw new GridError(
      'invalid',
      `a priority is a whole number from -${PRIORITY_MAX} to ${PRIORITY_MAX}, not ${priority}`,
    )
  const nowMs = client.parts.clock.wallMs()
  const extended = ({ view }: KnownJob, byMs: number) =>
    Math.round(Math.min(Math.max(view.expiresAtMs, nowMs) + byMs, nowMs + EXTENDED_LIFE_MS_MAX))
  return giveOrder(
    client,
    jobId,
    (job) => ({
      type: 'amend',
      expiresAtMs: extendByMs === undefined ? undefined : extended(job, extendByMs),
      priority,
      maxInstances,
      ownerRadius: undefined,
    }),
    options,
  )
}

/** Lets held units be granted again. */
export function releaseUnits(
  client: GridClient,
  jobId: JobId,
  units: readonly UnitRange[],
  options?: AskOptions,
): Promise<GivenOrder> {
  return giveOrder(client, jobId, { type: 'release', units: mergeRanges(units) }, options)
}

/** Says that results were fetched and verified: owners may drop the bytes a day later. */
export function sealJob(client: GridClient, jobId: JobId, options?: AskOptions): Promise<GivenOrder> {
  return giveOrder(client, jobId, { type: 'seal' }, options)
}

/** What a retry changes; the rest is the parent's. */
export interface RetryChanges {
  /** Which units: default those that failed, and those held. */
  readonly states?: readonly UnitState[]
  readonly limits?: Partial<Limits>
  readonly okExit?: readonly number[]
  readonly policy?: Policy
  readonly maxErrors?: number
  readonly priority?: number
  readonly name?: string
  readonly expiresInMs?: number
}

/**
 * Child jobs over the failed and held units of a job, ready for `submitJob`: one, or more where the units do not fit one
 * selection of 4,096 ranges. Indices stay the parent's. Rejects with GridError `notFound` when no unit is in such a state,
 * `expired` when inputs of the parent are kept no longer.
 */
export async function retryJobs(
  client: GridClient,
  jobId: JobId,
  { states = ['failed', 'held'], ...changes }: RetryChanges = {},
  options: AskOptions = {},
): Promise<readonly BuiltJob[]> {
  const job = await client.job(jobId, options)
  const units: UnitRange[] = []
  const { signal } = options
  for await (const { unit } of listUnits(client, job, { states, ...(signal ? { signal } : {}) })) {
    const last = units.at(-1)
    if (last && last.first + last.count === unit) units[units.length - 1] = { ...last, count: last.count + 1 }
    else units.push({ first: unit, count: 1 })
  }
  if (units.length === 0) throw new GridError('notFound', `no unit of this job is ${states.join(' or ')}`)
  const children: BuiltJob[] = []
  for (let at = 0; at < units.length; at += SELECTION_RANGES_MAX) {
    children.push(childJob(client, job, units.slice(at, at + SELECTION_RANGES_MAX), changes))
  }
  return children
}

const NONCE_BYTES = 16

/** What a spec with this policy requires, beside what it required before. */
function requiredBy({ type }: Policy, before: readonly string[]): readonly string[] {
  const others = before.filter((feature) => feature !== 'confidence')
  return type === 'confidence' ? [...others, 'confidence'] : others
}

/** The spec of a child over `units` of a job, checked. */
export function childJob(
  client: GridClient,
  { jobId, spec: parent }: KnownJob,
  units: readonly UnitRange[],
  { limits, expiresInMs = JOB_LIFE_MS, ...changes }: Omit<RetryChanges, 'states'> = {},
): BuiltJob {
  const { clock, random, signer, network } = client.parts
  const nowMs = clock.wallMs()
  // Inputs are not uploaded again, and their holders keep them as long as the parent was to live.
  const inputsUntilMs = hasBlobs(parent) ? parent.expiresAtMs : Number.POSITIVE_INFINITY
  if (inputsUntilMs <= nowMs) throw new GridError('expired', 'the inputs of the job are kept no longer: submit it anew')
  const spec: JobSpec = {
    ...parent,
    ...changes,
    submitter: signer.publicKey,
    nonce: toHex(random.bytes(NONCE_BYTES)),
    createdAtMs: nowMs,
    expiresAtMs: Math.min(nowMs + expiresInMs, inputsUntilMs),
    limits: { ...parent.limits, ...limits },
    requires: requiredBy(changes.policy ?? parent.policy, parent.requires),
    selection: mergeRanges(units),
    parent: jobId,
  }
  const problem = checkSpec(spec, { nowMs, network: network.name })
  if (problem !== undefined) throw new GridError('invalid', problem)
  return { spec, units: unitCount(spec), blobs: [] }
}

function hasBlobs({ source, inputs, task }: JobSpec): boolean {
  return source.type === 'list' || inputs.length > 0 || task.type === 'module'
}
