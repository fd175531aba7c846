import { neededItems } from '../../job/spec/program.js'
import { jobIdOf } from '../../job/spec/spec.js'
import { contentSpan, cutItems, indexSpan, type ListSource } from '../../job/units/list.js'
import { count } from '../../job/units/selection.js'
import { unitCount } from '../../job/units/unit-source.js'
import { unitOutputCodec } from '../../proto/codec/facts.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import type { JobSpec, UnitRange } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import type { Compute, ComputeResult } from '../../worker/compute/compute.js'
import type { Content } from '../content/content.js'
import { failureReason, type UnitAnswer } from '../results/answer.js'
import { emptyOutput } from '../session/outputs.js'
import { aborted } from '../session/session.js'
import type { BuiltJob } from '../submit/job-builder.js'

/** A job to be computed on this machine alone. */
export interface LocalRun {
  readonly built: BuiltJob
  /** Used by this run alone while it lasts; not closed. */
  readonly compute: Compute
  readonly sha256: Sha256
  /** Where the shared inputs are. */
  readonly inputPaths?: readonly { readonly name: string; readonly path: string }[]
  /** Where the module is, for a job that has one. */
  readonly modulePath?: string
  /** Default: those the spec selects. */
  readonly units?: readonly UnitRange[]
  readonly signal?: AbortSignal
}

/** Units handed to the threads and not yet passed on: enough for tiny ones to share a call, and a bound on memory. */
const UNITS_A_THREAD = 512
const UNITS_MAX = 8_192
/** Bytes of items and outputs in hand above which no further unit is begun. */
const BYTES_MAX = 48 * 1024 * 1024
/** Times a unit is tried when this machine, not the unit, fails. */
const HOST_ATTEMPTS_MAX = 3

/**
 * Computes a job on this machine alone: the same answers, with the same digests, that the grid gives, in unit order. Throws
 * GridError `closed` when aborted.
 */
export async function* runLocal(run: LocalRun): AsyncGenerator<UnitAnswer, void, undefined> {
  const { built, compute, sha256, inputPaths = [], modulePath, signal } = run
  const { spec } = built
  const jobId = jobIdOf(sha256, jobSpecCodec.encode(spec))
  const units = unitsOf(run)
  const total = count(units)
  const items = spec.source.type === 'list' ? new ItemReader(spec.source, built) : undefined
  const ready = new Map<number, ComputeResult>()
  const itemsOf = new Map<number, readonly Uint8Array[]>()
  const attempts = new Map<number, number>()
  let bytes = 0
  let wake: (() => void) | undefined
  compute.onResults((results) => {
    for (const result of results) {
      if (result.jobId !== jobId) continue
      const tried = (attempts.get(result.unit) ?? 0) + 1
      if (result.outcome === 'host' && tried < HOST_ATTEMPTS_MAX) {
        attempts.set(result.unit, tried)
        compute.run({ jobId, units: [{ unit: result.unit, items: itemsOf.get(result.unit) ?? [] }] })
        continue
      }
      ready.set(result.unit, result)
      bytes += result.output.length
    }
    wake?.()
  })
  const onAbort = () => wake?.()
  signal?.addEventListener('abort', onAbort, { once: true })
  compute.openJob({ jobId, spec, inputs: inputPaths, ...(modulePath === undefined ? {} : { modulePath }) })
  try {
    const windowUnits = Math.min(UNITS_MAX, compute.threads * UNITS_A_THREAD)
    const begin = each(units)
    let begun = 0
    let yielded = 0
    for (const unit of each(units)) {
      while (begun < total && begun - yielded < windowUnits && bytes < BYTES_MAX) {
        const batch: { unit: number; items: readonly Uint8Array[] }[] = []
        while (begun < total && begun - yielded < windowUnits && bytes < BYTES_MAX && batch.length < UNITS_A_THREAD) {
          const next = begin.next().value!
          const content = items ? await items.read(spec, next) : []
          if (items) itemsOf.set(next, content)
          for (const item of content) bytes += item.length
          batch.push({ unit: next, items: content })
          begun++
        }
        compute.run({ jobId, units: batch })
      }
      while (!ready.has(unit)) {
        if (signal?.aborted) throw aborted()
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      const result = ready.get(unit)!
      ready.delete(unit)
      bytes -= result.output.length
      for (const item of itemsOf.get(unit) ?? []) bytes -= item.length
      itemsOf.delete(unit)
      yielded++
      yield localAnswer(spec, result)
      if (signal?.aborted) throw aborted()
    }
  } finally {
    signal?.removeEventListener('abort', onAbort)
    compute.closeJob(jobId)
    compute.onResults(() => {})
  }
}

function unitsOf({ units, built: { spec } }: LocalRun): readonly UnitRange[] {
  if (units) return units
  return spec.selection.length > 0 ? spec.selection : [{ first: 0, count: unitCount(spec) }]
}

function* each(ranges: readonly UnitRange[]): Generator<number, undefined> {
  for (const { first, count } of ranges) for (let unit = first; unit < first + count; unit++) yield unit
  return undefined
}

function localAnswer({ limits }: JobSpec, { unit, outcome, digest, output, fuel, wallMs }: ComputeResult): UnitAnswer {
  const decoded = output.length > 0 ? unitOutputCodec.decode(output) : emptyOutput(outcome)
  return {
    unit,
    state: outcome === 'done' ? 'done' : 'failed',
    outcome,
    digest,
    output: decoded,
    outputBytes: output.length,
    fuel,
    wallMs,
    donors: [],
    grantors: [],
    reports: [],
    reason: failureReason({ outcome, exitCode: decoded.exitCode, fuel }, limits),
    proof: () => [],
  }
}

/** Cuts the items of units out of the list of a job, reading each part of it about once. */
export class ItemReader {
  readonly #source: ListSource
  readonly #items: Content
  readonly #index: Content
  #group: { readonly start: number; readonly end: number; readonly bytes: Uint8Array } | undefined

  constructor(source: ListSource, { blobs }: BuiltJob) {
    const find = (digest: string): Content => {
      const found = blobs.find(({ blob }) => blob.digest === digest)
      if (found === undefined) throw new GridError('notFound', 'the list of the job is not at hand')
      return found.content
    }
    this.#source = source
    this.#items = find(source.items.digest)
    this.#index = find(source.index.digest)
  }

  async read(spec: JobSpec, unit: number): Promise<readonly Uint8Array[]> {
    const items = neededItems(spec, unit)
    if (items === undefined) return []
    const at = indexSpan(this.#source, items)
    const { start, end } = contentSpan(this.#source, await this.#index.read(at.start, at.end))
    // Units next to each other often share a group of the index.
    if (this.#group?.start !== start || this.#group.end !== end) {
      this.#group = { start, end, bytes: await this.#items.read(start, end) }
    }
    return cutItems(this.#source, items, this.#group.bytes)
  }
}
