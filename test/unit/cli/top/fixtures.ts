import type { JobLook, KeyPress, ListedJobRow, TopEffect } from '../../../../cli/top/core/messages.js'
import { Top } from '../../../../cli/top/core/top.js'
import { frame } from '../../../../cli/top/view/frame.js'
import type { ListedUnit } from '../../../../client/follow/units.js'
import { EMPTY_SUMMARY } from '../../../../job/summary.js'
import type { ProcessState } from '../../../../proto/admin-messages.js'
import type { StatusReply } from '../../../../proto/job-messages.js'
import type { JobId, NodeId, PublicKey, Summary, UnitState } from '../../../../proto/model.js'

/** Parts of a dashboard for its tests. */

export const NOW = 1_700_000_000_000

/** A job id whose first digits are `digits`. */
export function jobId(digits: string): JobId {
  return digits.padEnd(64, '0') as JobId
}

export function nodeId(number: number): NodeId {
  return number.toString(16).padStart(8, '0').padEnd(40, '0') as NodeId
}

const key = (byte: string): PublicKey => byte.repeat(32) as PublicKey

function summary(changes: Partial<Summary> = {}): Summary {
  return { ...EMPTY_SUMMARY, units: 1_000, open: 1_000, workers: 3, donors: 2, ...changes }
}

export function look(changes: Partial<JobLook> = {}, counts: Partial<Summary> = {}): JobLook {
  return {
    name: '',
    task: 'primes --range 0..1000:1',
    summary: summary(counts),
    waiting: '',
    ageMs: 5_000,
    isGranted: true,
    unitsPerSecond: 0,
    eta: undefined,
    end: undefined,
    checkedBy: '2 agreeing donors',
    ...changes,
  }
}

export function listed(id: JobId, name = ''): ListedJobRow {
  return { jobId: id, name, task: 'primes', units: 1_000 }
}

export function unit(number: number, state: UnitState = 'open', changes: Partial<ListedUnit> = {}): ListedUnit {
  return {
    unit: number,
    shard: 0,
    state,
    instances: 0,
    answers: 0,
    errors: 0,
    result: undefined,
    waiting: '',
    ...changes,
  }
}

export function status(changes: Partial<StatusReply> = {}): StatusReply {
  return {
    peers: 3,
    workers: 2,
    threads: 8,
    jobs: 1,
    readyJobs: 1,
    settledLastMinute: 60,
    uptimeMs: 3_600_000,
    version: '0.1.0',
    address: '',
    eligible: true,
    shards: 4,
    storedBytes: 2 ** 20,
    wallMs: NOW,
    firstJobs: 1,
    firstReadyJobs: 1,
    firstSettledLastMinute: 60,
    countedWorkers: [{ version: '0.1.0', workers: 2, threads: 8 }],
    ...changes,
  }
}

export function machine(changes: Partial<NonNullable<ProcessState['worker']>> = {}): ProcessState {
  return {
    nodeId: nodeId(7),
    publicKey: key('07'),
    version: '0.1.0',
    network: 'test',
    startedMs: NOW - 60_000,
    address: '127.0.0.1:7000',
    eligible: true,
    peers: [],
    shards: 2,
    storedBytes: 4_096,
    unreached: '',
    otherSelf: '',
    worker: {
      threads: [
        {
          thread: 0,
          unit: {
            jobId: jobId('aa'),
            jobName: 'sums',
            submitter: key('0a'),
            unit: 17,
            task: 'primes@1',
            sinceMs: NOW - 3_000,
            fuel: 500n,
            fuelMax: 1_000n,
          },
        },
        { thread: 1, unit: undefined },
      ],
      owners: [
        {
          nodeId: nodeId(9),
          address: '127.0.0.1:7001',
          connected: true,
          held: 2,
          reason: 'all units are granted',
          reasonAtMs: NOW - 1_000,
        },
      ],
      restraints: [],
      threadsAllowed: 2,
      cpuTimeShare: 1,
      paused: false,
      draining: false,
      held: 2,
      unsettled: 3,
      computed: 20,
      agreed: 17,
      disagreed: 0,
      fuel: 12_345n,
      idleReason: '',
      preferences: [{ name: 'cpu-time', value: '50%', origin: 'file' }],
      sameKey: undefined,
      ...changes,
    },
  }
}

/** A dashboard with the words of its screen at hand. */
export class TestTop extends Top {
  constructor(columns = 80, rows = 24) {
    super(columns, rows, NOW)
  }

  /** Presses keys one after the other: single characters, or names. */
  press(...keys: readonly (string | KeyPress)[]): readonly TopEffect[] {
    return keys.flatMap((one) =>
      this.handle({
        type: 'keyPressed',
        key: typeof one === 'string' && one.length === 1 ? { char: one } : (one as KeyPress),
      }),
    )
  }

  lines(): readonly string[] {
    return frame(this.state, { network: 'test', clock: () => '12:00:00' }).map(({ spans }) =>
      spans.map(({ text }) => text).join(''),
    )
  }

  get screen(): string {
    return this.lines().join('\n')
  }
}

/** A dashboard with three jobs: one running, one waiting, one finished. */
export function threeJobs(columns = 80, rows = 24): TestTop {
  const top = new TestTop(columns, rows)
  const [running, waiting, finished] = [jobId('aa'), jobId('bb'), jobId('cc')]
  top.handle({ type: 'jobsListed', jobs: [listed(finished, 'old'), listed(waiting, 'next'), listed(running, 'sums')] })
  top.handle({
    type: 'jobLooked',
    jobId: running,
    look: look(
      { name: 'sums', unitsPerSecond: 12, eta: { lowMs: 20_000, highMs: 30_000 } },
      { open: 500, settled: 490, failed: 10, leased: 4, answered: 510, disagreeing: 3 },
    ),
  })
  top.handle({
    type: 'jobLooked',
    jobId: waiting,
    look: look({ name: 'next', isGranted: false, waiting: 'no worker' }),
  })
  top.handle({
    type: 'jobLooked',
    jobId: finished,
    look: look({ name: 'old', end: 'finished' }, { open: 0, settled: 1_000 }),
  })
  return top
}
