import { formatDuration } from '../../../job/quantity.js'
import type { OwnerState, ProcessState, WorkerState } from '../../../proto/admin-messages.js'
import { clockFindings, type PeerClock } from './clocks.js'
import { type Finding, inOrder } from './findings.js'
import { nameOf } from './job-sight.js'
import { processKeyInTwoPlaces } from './same-key.js'
import { counted } from './unit-findings.js'

/** What is known when a process is asked why it computes nothing. */
export interface ProcessSight {
  readonly state: ProcessState
  /** This machine's clock. */
  readonly wallMs: number
  /** Clocks of the peers that answered. */
  readonly clocks: readonly PeerClock[]
}

const HERE = ['this machine']
/** A refusal of an owner that is connected again counts no more after this long. Unit: ms. */
const REFUSAL_LASTS_MS = 3_000

/** Why the worker of this machine computes nothing, or less than it could; none: it has its hands full, or is no worker. */
export function explainMe({ state, wallMs, clocks }: ProcessSight): readonly Finding[] {
  const { worker, peers } = state
  const findings: Finding[] = [...clockFindings(wallMs, clocks)]
  if (peers.length === 0)
    findings.push({
      code: 'not-joined',
      blocks: true,
      sentence: `no peer of the network '${state.network}' is connected${state.unreached === '' ? '' : `: ${state.unreached}`}`,
      sinceMs: undefined,
      by: HERE,
      value: '0 peers',
      cure: 'name one that is reachable with --join HOST, and see: manyhands doctor',
    })
  findings.push(...keyOf(state, wallMs))
  if (worker === undefined) return inOrder(findings)
  findings.push(...restraintsOf(worker, wallMs), ...ownersOf(worker, wallMs))
  if (worker.held > 0)
    findings.push({
      code: 'computing',
      blocks: false,
      sentence: `${counted(worker.held, 'unit')} ${worker.held === 1 ? 'is' : 'are'} in hand`,
      sinceMs: undefined,
      by: HERE,
      value: `${worker.threads.filter(({ unit }) => unit !== undefined).length} of ${counted(worker.threads.length, 'thread')} at work`,
      cure: '',
    })
  else if (!findings.some(({ blocks }) => blocks)) findings.push(nothingToDo(worker, wallMs))
  return inOrder(findings)
}

function restraintsOf({ restraints, threadsAllowed, draining }: WorkerState, wallMs: number): Finding[] {
  const findings = restraints.map(({ preference, reason, untilMs }): Finding => {
    const isPause = preference === 'pause'
    const ends = untilMs > wallMs ? `for another ${formatDuration(untilMs - wallMs)}` : 'no end is known'
    return {
      code: isPause ? 'paused' : 'restrained',
      blocks: threadsAllowed === 0,
      sentence: isPause ? 'it is paused' : `a preference holds it back: ${reason}`,
      sinceMs: undefined,
      by: HERE,
      value: `${preference}: ${reason}; ${ends}`,
      cure: isPause ? 'manyhands resume' : `manyhands prefs ${preference}, to see or change it`,
    }
  })
  if (draining)
    findings.push({
      code: 'leaving',
      blocks: true,
      sentence: 'it finishes what it has in hand and ends',
      sinceMs: undefined,
      by: HERE,
      value: 'drain',
      cure: 'start it again: manyhands work',
    })
  return findings
}

/** Its key runs in another process, too. */
function keyOf(state: ProcessState, wallMs: number): Finding[] {
  const two = processKeyInTwoPlaces(state, wallMs)
  if (two === undefined) return []
  const isHere = two.turnedAway === 'here'
  return [
    {
      code: 'key-in-use',
      blocks: isHere && state.worker?.held === 0,
      sentence: isHere ? `owners turn this worker away: ${two.sentence}` : two.sentence,
      sinceMs: undefined,
      by: two.by,
      value: `one key in two processes${two.agoMs > 0 ? `; said ${formatDuration(two.agoMs)} ago` : ''}`,
      cure: isHere
        ? 'stop the other process, or give this one a key of its own: manyhands id new'
        : 'stop the other process, or give it a key of its own there: manyhands id new',
    },
  ]
}

/** Owners that refuse it, or that it cannot reach. */
function ownersOf({ owners }: WorkerState, wallMs: number): Finding[] {
  return owners.flatMap((owner): Finding[] => {
    const { code = '', reason, reasonAtMs, connected } = owner
    const sinceMs = reasonAtMs === 0 ? undefined : Math.max(0, wallMs - reasonAtMs)
    // A key in two places is a finding of its own.
    if (code === '' || code === 'exists' || (connected && (sinceMs ?? 0) > REFUSAL_LASTS_MS)) return []
    const name = nameOf(owner)
    const base = { sinceMs, by: [name] }
    if (code === 'unreachable' || code === 'timeout' || code === 'closed') {
      if (connected) return []
      return [
        {
          ...base,
          code: 'owner-unreachable',
          blocks: false,
          sentence: `owner ${name} cannot be reached`,
          value: reason,
          cure: 'nothing: its jobs have other owners',
        },
      ]
    }
    return [
      {
        ...base,
        code: 'owner-refuses',
        blocks: false,
        sentence: `owner ${name} refuses this worker: ${reason}`,
        value: code,
        cure: code === 'unsupported' ? 'update manyhands' : 'see what it says; other owners are tried',
      },
    ]
  })
}

function nothingToDo({ owners, idleReason }: WorkerState, wallMs: number): Finding {
  const said = owners.filter(({ reason, code = '' }: OwnerState) => reason !== '' && code === '')
  if (said.length === 0)
    return {
      code: 'no-work',
      blocks: true,
      sentence: idleReason === '' ? 'no job with ready work is announced' : idleReason,
      sinceMs: undefined,
      by: HERE,
      value: `${counted(owners.filter(({ connected }) => connected).length, 'owner')} connected`,
      cure: 'nothing: it starts by itself when a job comes',
    }
  const latest = said.reduce((one, other) => (other.reasonAtMs > one.reasonAtMs ? other : one))
  return {
    code: 'told-no-work',
    blocks: true,
    sentence: latest.reason,
    sinceMs: Math.max(0, wallMs - latest.reasonAtMs),
    by: said.map(nameOf).slice(0, 8),
    value: [...new Set(said.map(({ reason }) => reason))].slice(0, 3).join('; '),
    cure: 'nothing: it starts by itself when there is work for it',
  }
}
