import { formatBytes, formatDuration } from '../../../job/quantity.js'
import { barText, declineText, OTHER_OWNERS, restraintText } from '../../../job/standing.js'
import { donorsNeeded } from '../../../job/verdict/rules.js'
import type { WorkerBar, WorkerGroup } from '../../../proto/explain-messages.js'
import { clockFindings, clocksOf } from './clocks.js'
import { type CommandWords, type Finding, type FindingCode, inOrder } from './findings.js'
import { type JobSight, type MergedShard, mergedShards, names, owners, unitsWaiting, workersSeen } from './job-sight.js'
import { peerFindings } from './peer-findings.js'
import { counted, unitFindings } from './unit-findings.js'

/** Why a job is where it is: those findings that block it first. None: it has finished, and well. */
export function explainJob(sight: JobSight, words: CommandWords): readonly Finding[] {
  const { summary } = sight
  const failed = summary.failed > 0 ? [unitsFailed(sight, words)] : []
  if (summary.settled + summary.failed >= summary.units) return failed
  const ended = endOf(sight, words)
  if (ended !== undefined) return inOrder([ended, ...clockFindings(sight.wallMs, clocksOf(sight)), ...failed])
  const shards = mergedShards(sight).filter(({ groups }) => groups.length > 0)
  const units = unitFindings(sight, shards, words)
  const findings = [
    ...clockFindings(sight.wallMs, clocksOf(sight)),
    ...peerFindings(sight, words),
    ...workerFindings(sight, words),
    ...grantorFindings(shards, words),
    ...units,
    ...failed,
  ]
  if (units.length === 0 && !findings.some(({ blocks }) => blocks)) findings.push(unexplained(sight, shards))
  return inOrder(findings)
}

/** Whether units of it are being computed, or were answered a moment ago. */
export function isMoving(findings: readonly Finding[]): boolean {
  return findings.some(({ code }) => code === 'computing')
}

function endOf(sight: JobSight, { job }: CommandWords): Finding | undefined {
  const { cancelled, expiresAtMs, wallMs } = sight
  const said = owners(sight).filter(({ reply }) => reply.refusal !== '')
  const by = names(said)
  const base = { blocks: true, sinceMs: undefined }
  if (cancelled)
    return {
      ...base,
      code: 'cancelled',
      sentence: 'its submitter has cancelled it',
      by,
      value: 'a signed order',
      cure: 'submit it again; what had settled can still be fetched',
    }
  const expiry = { value: '', cure: `manyhands extend ${job} 30d, or submit it again` }
  if (wallMs >= expiresAtMs)
    return {
      ...base,
      ...expiry,
      code: 'expired',
      sentence: 'it has expired: nothing more of it is given out',
      sinceMs: wallMs - expiresAtMs,
      by: by.length === 0 ? ['this machine'] : by,
      value: `its time ended ${formatDuration(wallMs - expiresAtMs)} ago`,
    }
  const stopped = said.find(({ reply }) => reply.refusal !== 'expired')
  // Where some grant, nothing is over.
  if (stopped === undefined || said.length < owners(sight).length) return undefined
  if (said.every(({ reply }) => reply.refusal === OTHER_OWNERS))
    return {
      ...base,
      code: 'owners-named',
      sentence: `it names its owners (--owners), and none of the ${counted(said.length, 'peer')} near its shards is one`,
      by,
      value: counted(sight.spec.owners.length, 'named owner'),
      cure: 'start named peers, or name those that are near: manyhands peers; or submit it again without --owners',
    }
  return {
    ...base,
    code: 'stopped',
    sentence: `it was stopped: ${stopped.reply.refusal}`,
    by,
    value: `${sight.summary.failed} of ${sight.summary.units} units failed`,
    cure: `see why with: manyhands results ${job} --failed; then: manyhands retry ${job} --failed with the limits raised`,
  }
}

function unitsFailed({ summary }: JobSight, { job }: CommandWords): Finding {
  return {
    code: 'units-failed',
    blocks: false,
    sentence: `${counted(summary.failed, 'unit')} failed for good`,
    sinceMs: undefined,
    by: ['its home'],
    value: `${summary.failed} of ${summary.units}`,
    cure: `why: manyhands results ${job} --failed; again, with other limits: manyhands retry ${job} --failed`,
  }
}

// ------------------------------------------------------------------------------------------------------------- workers

const BAR_CODES: Readonly<Partial<Record<WorkerBar, FindingCode>>> = {
  memory: 'memory',
  profile: 'version-old',
  job: 'other-job',
  unnamed: 'unnamed',
  refused: 'submitter-refused',
  convicted: 'convicted',
  resting: 'resting',
  failing: 'host-failures',
}

function workerFindings(sight: JobSight, words: CommandWords): Finding[] {
  const owning = owners(sight)
  if (owning.length === 0) return []
  const by = names(owning)
  const groups = workersSeen(sight)
  const able = Math.max(...owning.map(({ reply }) => reply.workersAble))
  const donors = Math.max(...owning.map(({ reply }) => reply.donorsAble))
  const { policy } = sight.spec
  const quorum = policy.type === 'confidence' ? 2 : donorsNeeded(policy)
  const findings: Finding[] = groups.flatMap((group) => barred(sight, group, able === 0, words))
  if (groups.length === 0)
    findings.push({
      code: 'no-worker',
      blocks: true,
      sentence: 'no worker is connected to the owners of the job',
      sinceMs: sight.ageMs,
      by,
      value: `0 workers at ${counted(owning.length, 'owner')}`,
      cure: `start one: manyhands work${words.flags}`,
    })
  else if (able > 0 && donors < quorum)
    findings.push({
      code: 'quorum',
      blocks: true,
      sentence: `${counted(donors, 'donor')} of workers ${donors === 1 ? 'is' : 'are'} here, and ${quorum} have to agree on each unit${policy.type === 'confidence' ? ' at first' : ''}`,
      sinceMs: undefined,
      by,
      value: `${donors} of quorum ${quorum}`,
      cure: `start another on a key of its own: manyhands work${words.flags}; or submit with --quorum ${donors}`,
    })
  const free = groups.filter(({ bar }) => bar === 'none').length
  const full = groups.find(({ bar }) => bar === 'full')
  const window = groups.find(({ bar }) => bar === 'window')
  const computing = sight.summary.leased > 0
  if (able > 0 && donors >= quorum && free === 0 && !computing && window === undefined && isJobId(full?.value))
    findings.push({
      code: 'behind',
      blocks: true,
      sentence: `${workersText(full!)} could compute it, and ${full!.workers === 1 ? 'is' : 'are'} given units of another job of its submitter first: ${full!.value.slice(0, 12)}`,
      sinceMs: full!.sinceMs,
      by: full!.by,
      value: `${full!.threads} threads`,
      cure: `wait, put it before the other: manyhands priority ${words.job} 10; or more workers: manyhands work${words.flags}`,
    })
  else if (able > 0 && donors >= quorum && free === 0 && !computing && (window ?? full) !== undefined) {
    const group = (window ?? full)!
    findings.push({
      code: window === undefined ? 'busy' : 'window',
      blocks: true,
      sentence:
        window === undefined
          ? `${workersText(group)} could compute it, and ${group.workers === 1 ? 'has its' : 'have their'} hands full with other jobs`
          : `${workersText(group)} gave as many answers as they may before others confirm them`,
      sinceMs: group.sinceMs,
      by: group.by,
      value: window === undefined ? `${group.threads} threads` : `${group.value} answers not settled yet`,
      cure: `more workers: manyhands work${words.flags}`,
    })
  }
  for (const { address, nodeId, reply } of owning) {
    for (const refused of reply.refusedKeys)
      findings.push({
        blocks: false,
        sentence: `worker ${refused.nodeId.slice(0, 12)} was turned away: ${refused.reason}`,
        sinceMs: refused.agoMs,
        by: names([{ address, nodeId }]),
        ...(refused.code === 'unsupported'
          ? { code: 'version-old' as const, value: 'version of the protocol', cure: 'update the older of the two' }
          : {
              code: 'key-in-use' as const,
              value: `key ${refused.nodeId.slice(0, 12)} in two processes`,
              cure: 'stop one of the two, or give it a key of its own: manyhands id new',
            }),
      })
  }
  return oneEach(findings)
}

/** What keeps one group of workers away; it blocks where it keeps all of them. */
function barred(
  { spec, ageMs }: JobSight,
  group: WorkerGroup & { readonly by: readonly string[] },
  blocks: boolean,
  { flags, job }: CommandWords,
): Finding[] {
  const { bar, value } = group
  const who = workersText(group)
  // Workers may have been there long before the job.
  const sinceMs = group.sinceMs === undefined ? undefined : Math.min(group.sinceMs, ageMs)
  const base = { blocks, sinceMs, by: group.by }
  if (bar === 'restrained') {
    const isPaused = value === 'pause'
    return [
      {
        ...base,
        code: isPaused ? 'paused' : 'restrained',
        sentence: `${who} want${group.workers === 1 ? 's' : ''} no work: ${restraintText(value)}`,
        value: `preference ${value}`,
        cure: isPaused
          ? `whoever paused them: manyhands resume; or start another: manyhands work${flags}`
          : `it passes by itself, or: manyhands prefs; or start another: manyhands work${flags}`,
      },
    ]
  }
  const code = bar === 'task' ? (value === '' ? 'task-missing' : 'version-old') : BAR_CODES[bar]
  if (code === undefined) return []
  const why = bar === 'refused' ? declineText(value) : barText(group, spec).replace(/^the worker /, '')
  return [
    {
      ...base,
      code,
      sentence: `${who}: ${why}`,
      value: barValue(bar, value, spec.limits.memoryBytes),
      cure: CURES[bar]?.({ flags, job }, spec.limits.memoryBytes) ?? '',
    },
  ]
}

function barValue(bar: WorkerBar, value: string, memoryBytes: number): string {
  if (bar === 'memory') return `${formatBytes(Number(value))} offered, ${formatBytes(memoryBytes)} needed`
  return value
}

const MIB = 2 ** 20

const CURES: Readonly<Partial<Record<WorkerBar, (words: CommandWords, memoryBytes: number) => string>>> = {
  memory: ({ flags }, memoryBytes) =>
    `start a worker with more: manyhands work --memory ${Math.ceil(memoryBytes / MIB)}MiB${flags}; or submit with a smaller --memory`,
  task: () => 'update those workers, or add the task to their setting `tasks`',
  profile: () => 'update those workers: they run an older version',
  job: ({ flags }) => `start one for any job: manyhands work${flags}`,
  unnamed: () => 'the job names its workers: start one of those, or submit it without the list',
  refused: ({ flags }) => `ask their owners, or start a worker of your own: manyhands work${flags}`,
  convicted: ({ flags }) => `other workers do the job: manyhands work${flags}`,
  resting: () => 'they are asked again within a minute; what they said stands in the log of the worker',
  failing: () => 'look at the log of those workers; others get the units meanwhile',
}

/** An owner may say anything in its place, and older ones say nothing. */
function isJobId(value: string | undefined): boolean {
  return /^[0-9a-f]{64}$/.test(value ?? '')
}

/** `2 workers`. */
function workersText({ workers }: Pick<WorkerGroup, 'workers'>): string {
  return counted(workers, 'worker')
}

/** The same said by several peers is said once. */
function oneEach(findings: readonly Finding[]): Finding[] {
  const seen = new Map<string, Finding>()
  for (const finding of findings) {
    const name = `${finding.code} ${finding.sentence}`
    const known = seen.get(name)
    seen.set(name, known === undefined ? finding : { ...known, by: [...new Set([...known.by, ...finding.by])] })
  }
  return [...seen.values()]
}

// -------------------------------------------------------------------------------------------------------------- owners

function grantorFindings(shards: readonly MergedShard[], { flags }: CommandWords): Finding[] {
  const findings: Finding[] = []
  const few = shards.filter((shard) => shard.owners.length < shard.minGrantors)
  if (few.length > 0) {
    const { owners: here, minGrantors } = few[0]!
    findings.push({
      code: 'min-grantors',
      blocks: true,
      sentence: `${counted(here.length, 'owner')} of ${shardsText(few)} ${here.length === 1 ? 'is' : 'are'} there, and a unit counts only with grants of ${minGrantors}`,
      sinceMs: undefined,
      by: names(here),
      value: `${here.length} of minGrantors ${minGrantors}`,
      cure: `bring the others back, or start another peer: manyhands node${flags}`,
    })
  }
  const quiet = shards.filter(({ quietMs }) => quietMs > 0)
  if (quiet.length > 0 && quiet.length === shards.length)
    findings.push({
      code: 'owners-wait',
      blocks: true,
      sentence: `the owners of ${shardsText(quiet)} have just started: workers have a moment to come back with what they had in hand`,
      sinceMs: undefined,
      by: names(quiet.flatMap((shard) => shard.owners)),
      value: `${formatDuration(Math.max(...quiet.map(({ quietMs }) => quietMs)))} left`,
      cure: '',
    })
  return findings
}

/** `shard 3`, `shards 1, 2, 5`, for people. */
function shardsText(shards: readonly { readonly shard: number }[]): string {
  const numbers = shards.slice(0, SHARDS_NAMED_MAX).map(({ shard }) => shard)
  const more = shards.length > numbers.length ? ` and ${shards.length - numbers.length} more` : ''
  return `${shards.length === 1 ? 'shard' : 'shards'} ${numbers.join(', ')}${more}`
}

const SHARDS_NAMED_MAX = 5

function unexplained({ waiting, answers }: JobSight, shards: readonly MergedShard[]): Finding {
  const again = unitsWaiting(shards, 'untouched', 'again', 'elsewhere')
  if (again !== undefined && waiting === '')
    return {
      code: 'not-started',
      blocks: false,
      sentence: `${counted(again.units, 'unit')} wait for a worker to ask; one does within moments`,
      sinceMs: again.sinceMs,
      by: names(answers),
      value: `units ${again.examples.join(', ')}`,
      cure: '',
    }
  return {
    code: 'unexplained',
    blocks: false,
    sentence:
      waiting === '' ? 'nothing that the peers say explains it: ask again in a moment' : `its home says: ${waiting}`,
    sinceMs: undefined,
    by: names(answers),
    value: '',
    cure: '',
  }
}
