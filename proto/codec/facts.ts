import type { Codec } from '../../runtime/transport.js'
import { fileNamesProblem } from '../file-name.js'
import {
  DURATION_MS_MAX,
  ENCODED_OUTPUT_BYTES_MAX,
  GRANT_RUNS_MAX,
  GRANT_UNITS_MAX,
  OPINIONS_MAX,
  OUTPUT_BYTES_MAX,
  OUTPUT_FILES_MAX,
  PRIORITY_MAX,
  REPORT_GRANTS_MAX,
  REPORT_UNITS_MAX,
  RULING_CONVICTED_MAX,
  RULING_GRANTORS_MAX,
  RULINGS_MAX,
  SELECTION_RANGES_MAX,
  SHARDS_MAX,
  SPEC_BYTES_MAX,
  STDERR_BYTES_MAX,
  UNITS_MAX,
} from '../limits.js'
import { type WireMessage, wireType } from '../load.js'
import {
  type Digest,
  type Grant,
  type GrantRun,
  type Key,
  type NodeId,
  type Order,
  type OrderBody,
  OUTCOMES,
  type Outcome,
  type PublicKey,
  type Report,
  type ReportFact,
  type Ruling,
  type Summary,
  type UnitOutput,
  type UnitResult,
} from '../model.js'
import {
  messageCodec,
  optionalHex,
  optionalHexToWire,
  plainView,
  rangesToWire,
  readRanges,
  readSigned,
  SIGNED_OVERHEAD_BYTES,
  signedToWire,
  UINT32_MAX,
} from './common.js'
import { decodeMessage, type Fields, hexToWire, uint64ToWire } from './fields.js'

const OUTCOME_NUMBERS = new Map(OUTCOMES.map((outcome, number) => [outcome, number]))
const ZERO_DIGEST = '0'.repeat(64) as Digest
const INT32_MAX = 2 ** 31 - 1
const GRANT_BYTES_MAX = 8 * 1024
const REPORT_BYTES_MAX = 8 * 1024
const SUMMARY_BYTES_MAX = 512
/** Standard output from this size on is copied once: protobufjs copies it each time that its buffer grows, and at the end. */
const STDOUT_APART_BYTES = 16 * 1024
const unitOutputType = wireType('UnitOutput')

/** The number of an outcome, as {@link readOutcome} takes it. */
export function outcomeToWire(outcome: Outcome): number {
  return OUTCOME_NUMBERS.get(outcome)!
}

/** An outcome by its number on the wire; fails for a number that stands for none. */
export function readOutcome(fields: Fields, name: string): Outcome {
  return OUTCOMES[fields.uint32(name, { max: OUTCOMES.length - 1 })]!
}

/** The field `shard`, within the shards that a job may have. */
export function readShard(fields: Fields): number {
  return fields.uint32('shard', { max: SHARDS_MAX - 1 })
}

/** The field `unit`, within the units that a job may have. */
export function readUnit(fields: Fields): number {
  return fields.uint32('unit', { max: UNITS_MAX - 1 })
}

// --------------------------------------------------------------------------------------------------------------- grant

/** The bytes under a grant's signature. Runs ascend and do not overlap: one copy of a unit a grant. */
export const grantCodec: Codec<Grant> = messageCodec('Grant', GRANT_BYTES_MAX, grantToWire, readGrant)

function grantToWire(grant: Grant): WireMessage {
  return {
    jobId: hexToWire(grant.jobId),
    shard: grant.shard,
    grantor: hexToWire(grant.grantor),
    grantorIdNonce: grant.grantorIdNonce,
    worker: hexToWire(grant.worker),
    workerIsYounger: grant.age === 'younger',
    nonce: hexToWire(grant.nonce),
    firsts: grant.runs.map((run) => run.first),
    counts: grant.runs.map((run) => run.count),
    opinions: grant.runs.map((run) => run.opinion),
    durationMs: grant.durationMs,
  }
}

function readGrant(fields: Fields): Grant {
  return {
    jobId: fields.jobId('jobId'),
    shard: readShard(fields),
    grantor: fields.publicKey('grantor'),
    grantorIdNonce: fields.bytes('grantorIdNonce', { length: 8 }),
    worker: fields.publicKey('worker'),
    age: fields.bool('workerIsYounger') ? 'younger' : 'older',
    nonce: fields.hex('nonce', 8),
    runs: readRuns(fields),
    durationMs: fields.safeInteger('durationMs', { min: 1, max: DURATION_MS_MAX }),
  }
}

/** Runs as `firsts`, `counts` and `opinions`: ascending, disjoint, of no more units than a grant may have. */
export function readRuns(fields: Fields): GrantRun[] {
  const firsts = fields.uint32List('firsts', { min: 1, max: GRANT_RUNS_MAX }, { max: UNITS_MAX - 1 })
  const bound = { min: firsts.length, max: firsts.length }
  const counts = fields.uint32List('counts', bound, { min: 1, max: GRANT_UNITS_MAX })
  const opinions = fields.uint32List('opinions', bound, { max: OPINIONS_MAX - 1 })
  let end = 0
  let units = 0
  return firsts.map((first, i) => {
    const count = counts[i]!
    if (first < end) fields.fail('firsts', 'must ascend without overlap')
    end = first + count
    units += count
    if (end > UNITS_MAX || units > GRANT_UNITS_MAX) fields.fail('counts', 'name too many units')
    return { first, count, opinion: opinions[i]! }
  })
}

// -------------------------------------------------------------------------------------------------------------- report

/** The bytes under a report's signature. */
export const reportCodec: Codec<Report> = messageCodec('Report', REPORT_BYTES_MAX, reportToWire, readReport)

function reportToWire(report: Report): WireMessage {
  const { results } = report
  const digests = Buffer.allocUnsafe(32 * results.length)
  const outcomes = new Uint8Array(results.length)
  results.forEach((result, i) => {
    digests.write(result.digest, 32 * i, 'hex')
    outcomes[i] = outcomeToWire(result.outcome)
  })
  return {
    jobId: hexToWire(report.jobId),
    shard: report.shard,
    worker: hexToWire(report.worker),
    donor: report.donor === report.worker ? undefined : hexToWire(report.donor),
    donorSignature: report.donor === report.worker ? undefined : report.donorSignature,
    units: results.map((result) => result.unit),
    outcomes,
    digests,
    outputSizes: results.map((result) => result.outputBytes),
    fuels: results.map((result) => uint64ToWire(result.fuel)),
  }
}

function readReport(fields: Fields): Report {
  const worker = fields.publicKey('worker')
  const donor = optionalHex<Report['donor']>(fields, 'donor', 32) ?? worker
  return {
    jobId: fields.jobId('jobId'),
    shard: readShard(fields),
    worker,
    donor,
    donorSignature: fields.bytes('donorSignature', { length: donor === worker ? 0 : 64 }),
    results: readResults(fields),
  }
}

function readResults(fields: Fields): UnitResult[] {
  const units = fields.uint32List('units', { min: 1, max: REPORT_UNITS_MAX }, { max: UNITS_MAX - 1 })
  const bound = { min: units.length, max: units.length }
  const outcomes = fields.view('outcomes', { length: units.length })
  const digestsHex = fields.hex('digests', 32 * units.length)
  const sizes = fields.uint32List('outputSizes', bound, { max: ENCODED_OUTPUT_BYTES_MAX })
  const fuels = fields.uint64List('fuels', bound)
  let previous = -1
  return units.map((unit, i) => {
    if (unit <= previous) fields.fail('units', 'must ascend, no unit twice')
    previous = unit
    const outcome = OUTCOMES[outcomes[i]!] ?? fields.fail('outcomes', `has the unknown outcome ${outcomes[i]}`)
    const digest = digestsHex.slice(64 * i, 64 * i + 64) as Digest
    if ((outcome === 'host' || outcome === 'wall') && digest !== ZERO_DIGEST) {
      fields.fail('digests', `must be zero for the outcome ${outcome}`)
    }
    return { unit, outcome, digest, outputBytes: sizes[i]!, fuel: fuels[i]! }
  })
}

/** An encoded {@link ReportFact}, at most. Unit: bytes. */
export const FACT_BYTES_MAX = REPORT_BYTES_MAX + REPORT_GRANTS_MAX * (GRANT_BYTES_MAX + SIGNED_OVERHEAD_BYTES)

/** A report with 1 to 64 grants, as it is kept and passed on. No signature is checked here: `job/facts/facts.ts` does. */
export const reportFactCodec: Codec<ReportFact> = messageCodec(
  'ReportFact',
  FACT_BYTES_MAX,
  reportFactToWire,
  readReportFact,
)

/** A fact as a field of another message. */
export function reportFactToWire(fact: ReportFact): WireMessage {
  return { report: signedToWire(fact.report), grants: fact.grants.map(signedToWire) }
}

/** Reads what {@link reportFactToWire} wrote, with the bounds of {@link reportFactCodec}. */
export function readReportFact(fields: Fields): ReportFact {
  return {
    report: fields.message('report', readSigned),
    grants: fields.list('grants', { min: 1, max: REPORT_GRANTS_MAX }, readSigned),
  }
}

// --------------------------------------------------------------------------------------------------------------- order

/** The bytes under an order's signature. */
export const orderCodec: Codec<Order> = messageCodec('Order', SPEC_BYTES_MAX, orderToWire, readOrder)

function orderToWire(order: Order): WireMessage {
  return {
    jobId: hexToWire(order.jobId),
    seq: order.seq,
    createdAtMs: order.createdAtMs,
    ...orderBodyToWire(order.body),
  }
}

function orderBodyToWire(body: OrderBody): WireMessage {
  switch (body.type) {
    case 'cancel':
      return { cancel: {} }
    case 'amend': {
      const { expiresAtMs, priority, maxInstances, ownerRadius } = body
      return { amend: { expiresAtMs, priority, maxInstances, ownerRadius: optionalHexToWire(ownerRadius) } }
    }
    case 'release':
      return { release: { units: rangesToWire(body.units) } }
    case 'seal':
      return { seal: {} }
    case 'remove':
      return { remove: {} }
    case 'rulings': {
      const { judge, profile, rulings } = body
      return { rulings: { judge: hexToWire(judge), profile, rulings: rulings.map(rulingToWire) } }
    }
  }
}

function readOrder(fields: Fields): Order {
  return {
    jobId: fields.jobId('jobId'),
    seq: fields.safeInteger('seq'),
    createdAtMs: fields.safeInteger('createdAtMs'),
    body: fields.oneof<OrderBody>('body', {
      cancel: () => ({ type: 'cancel' }),
      amend: (amend) => ({
        type: 'amend',
        expiresAtMs: amend.has('expiresAtMs') ? amend.safeInteger('expiresAtMs') : undefined,
        priority: amend.has('priority')
          ? amend.uint32('priority', { min: -PRIORITY_MAX, max: PRIORITY_MAX })
          : undefined,
        maxInstances: amend.has('maxInstances') ? amend.uint32('maxInstances', { min: 1, max: 1_000 }) : undefined,
        ownerRadius: optionalHex<Key>(amend, 'ownerRadius', 20),
      }),
      release: (release) => ({
        type: 'release',
        units: readRanges(release, 'units', { min: 1, max: SELECTION_RANGES_MAX }),
      }),
      seal: () => ({ type: 'seal' }),
      remove: () => ({ type: 'remove' }),
      rulings: (rulings) => ({
        type: 'rulings',
        judge: rulings.publicKey('judge'),
        profile: rulings.uint32('profile', { max: UINT32_MAX }),
        rulings: readRulings(rulings),
      }),
    }),
  }
}

function rulingToWire(ruling: Ruling): WireMessage {
  return {
    unit: ruling.unit,
    outcome: outcomeToWire(ruling.outcome),
    digest: hexToWire(ruling.digest),
    convicted: ruling.convicted.map(hexToWire),
    rightGrantors: ruling.rightGrantors.map(hexToWire),
    wrongGrantors: ruling.wrongGrantors.map(hexToWire),
    ...(ruling.dismissed && { dismissed: ruling.dismissed.map(hexToWire) }),
  }
}

function readRulings(fields: Fields): Ruling[] {
  let after = -1
  return fields.list('rulings', { min: 1, max: RULINGS_MAX }, (ruling) => {
    const unit = readUnit(ruling)
    if (unit <= after) ruling.fail('unit', 'must ascend')
    after = unit
    const outcome = readOutcome(ruling, 'outcome')
    if (outcome === 'host' || outcome === 'wall') ruling.fail('outcome', 'depends on the machine: nothing can be ruled')
    const convicted = ruling.hexList('convicted', { max: RULING_CONVICTED_MAX }, 32) as PublicKey[]
    if (convicted.some((key, i) => i > 0 && key <= convicted[i - 1]!)) ruling.fail('convicted', 'must ascend')
    const dismissed = ruling.hexList('dismissed', { max: RULING_GRANTORS_MAX }, 20) as NodeId[]
    return {
      unit,
      outcome,
      digest: ruling.digest('digest'),
      convicted,
      rightGrantors: ruling.hexList('rightGrantors', { max: RULING_GRANTORS_MAX }, 20) as NodeId[],
      wrongGrantors: ruling.hexList('wrongGrantors', { max: RULING_GRANTORS_MAX }, 20) as NodeId[],
      ...(dismissed.length > 0 && { dismissed }),
    }
  })
}

// -------------------------------------------------------------------------------------------------------------- output

/** What a unit wrote, as it travels and is stored. Decoded bytes are views of the bytes decoded from. */
export const unitOutputCodec: Codec<UnitOutput> = {
  encode: encodeUnitOutput,
  decode: (bytes) => decodeMessage(unitOutputType, 'UnitOutput', bytes, ENCODED_OUTPUT_BYTES_MAX, readUnitOutput),
}

function encodeUnitOutput({ outcome, exitCode, stdout, stderr, stderrLength, files }: UnitOutput): Uint8Array {
  const head = { outcome: outcomeToWire(outcome), exitCode }
  const rest = { stderr, stderrLength, files: files.map(({ name, bytes }) => ({ name, bytes })) }
  if (stdout.length < STDOUT_APART_BYTES) return unitOutputType.encode({ ...head, stdout, ...rest })
  return Buffer.concat([
    unitOutputType.encodeBefore(head, 'stdout', stdout.length),
    stdout,
    unitOutputType.encode(rest),
  ])
}

function readUnitOutput(fields: Fields): UnitOutput {
  const output: UnitOutput = {
    outcome: readOutcome(fields, 'outcome'),
    exitCode: fields.uint32('exitCode', { min: -INT32_MAX - 1, max: INT32_MAX }),
    stdout: plainView(fields, 'stdout', { max: OUTPUT_BYTES_MAX }),
    stderr: plainView(fields, 'stderr', { max: STDERR_BYTES_MAX }),
    stderrLength: fields.safeInteger('stderrLength'),
    files: fields.list('files', { max: OUTPUT_FILES_MAX }, (file) => ({
      name: file.text('name', { min: 1, max: 1_024, controls: 'refuse' }),
      bytes: plainView(file, 'bytes', { max: OUTPUT_BYTES_MAX }),
    })),
  }
  const problem = fileNamesProblem(output.files.map((file) => file.name))
  if (problem !== undefined) fields.fail('files', `name a file whose name ${problem}`)
  if (output.stderrLength < output.stderr.length) fields.fail('stderrLength', 'is less than the bytes kept')
  return output
}

// ------------------------------------------------------------------------------------------------------------- summary

/** A summary by itself, as it is kept on disk. */
export const summaryCodec: Codec<Summary> = messageCodec('Summary', SUMMARY_BYTES_MAX, summaryToWire, readSummary)

/** A summary as a field of another message. */
export function summaryToWire(summary: Summary): WireMessage {
  return { ...summary, fuel: uint64ToWire(summary.fuel) }
}

/** Reads what {@link summaryToWire} wrote. That its counts add up is not checked: it is its sender's word. */
export function readSummary(fields: Fields): Summary {
  const units = (name: string) => fields.uint32(name, { max: UNITS_MAX })
  const count = (name: string) => fields.uint32(name, { max: UINT32_MAX })
  return {
    units: units('units'),
    open: units('open'),
    accepted: units('accepted'),
    settled: units('settled'),
    disputed: units('disputed'),
    held: units('held'),
    failed: units('failed'),
    leased: count('leased'),
    granted: fields.safeInteger('granted'),
    answered: fields.safeInteger('answered'),
    disagreeing: fields.safeInteger('disagreeing'),
    workers: count('workers'),
    donors: count('donors'),
    fuel: fields.uint64('fuel'),
    ready: count('ready'),
  }
}
