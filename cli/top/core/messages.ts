import type { JobEnd } from '../../../client/follow/job-end.js'
import type { ListedUnit } from '../../../client/follow/units.js'
import type { LogEntry, ProcessState } from '../../../proto/admin-messages.js'
import type { StatusReply } from '../../../proto/job-messages.js'
import type { JobId, NodeId, Outcome, PublicKey, Summary, UnitState } from '../../../proto/model.js'

/** What the dashboard is told, what it asks for, and the rows it keeps. Text in here is as it came: views clean it. */

/** The pages of the dashboard, in the order of their keys. */
export const TABS = ['jobs', 'units', 'peers', 'me', 'log'] as const
/** One of {@link TABS}. */
export type Tab = (typeof TABS)[number]

/** A job that is to be shown, before anything was heard of it. */
export interface ListedJobRow {
  readonly jobId: JobId
  readonly name: string
  /** Task with its source: `primes --range 0..10^9:10^7`. Empty: not known. */
  readonly task: string
  readonly units: number
}

/** The last look at a job. */
export interface JobLook {
  readonly name: string
  readonly task: string
  readonly summary: Summary
  readonly waiting: string
  readonly ageMs: number
  readonly isGranted: boolean
  readonly unitsPerSecond: number
  readonly eta: { readonly lowMs: number; readonly highMs: number } | undefined
  readonly end: JobEnd | undefined
  readonly checkedBy: string
}

/** A job of the list with what was last heard of it. */
export interface JobRow extends ListedJobRow {
  readonly look: JobLook | undefined
  /** Why there is no look, or none any more; empty: nothing is wrong. */
  readonly trouble: string
}

/** Which units of a job are to be listed: from `fromUnit` on, at most {@link UNITS_PAGE}. */
export interface UnitsQuery {
  readonly jobId: JobId
  /** Undefined: all. */
  readonly state: UnitState | undefined
  readonly fromUnit: number
}
/** Units held at a time; the next ones are asked for when the last one is passed. */
export const UNITS_PAGE = 200

/** One unit with what its results prove. */
export interface UnitDetail {
  /** Undefined: it has no proved result; {@link note} says why. */
  readonly answer:
    | {
        readonly state: 'done' | 'failed'
        readonly outcome: Outcome
        readonly exitCode: number
        readonly digest: string
        readonly outputBytes: number
        readonly fuel: bigint
        readonly donors: readonly PublicKey[]
        readonly grantors: readonly NodeId[]
        readonly reason: string
        /** Beginnings of what it wrote, as text. */
        readonly stderr: string
        readonly stderrBytes: number
        readonly stdout: string
        readonly stdoutBytes: number
      }
    | undefined
  readonly note: string
  /** What its owners see of it and remember: who computes it, what it waits for, what happened; newest first. */
  readonly history: readonly string[]
}

/** A peer as this process sees it. */
export interface PeerRow {
  readonly nodeId: NodeId
  readonly address: string
  readonly eligible: boolean
  /** Undefined: not measured. Unit: ms. */
  readonly roundTripMs: number | undefined
  /** Undefined: it has not answered yet. */
  readonly status: StatusReply | undefined
  /** Why it did not answer the last time; empty: it did. */
  readonly trouble: string
}

/** A key as it was pressed: a printable character, or a name. */
export type KeyPress =
  | 'up'
  | 'down'
  | 'pageUp'
  | 'pageDown'
  | 'home'
  | 'end'
  | 'enter'
  | 'escape'
  | 'tab'
  | 'backTab'
  | 'backspace'
  | 'interrupt'
  | { readonly char: string }

/** What happens to the screen, as past facts: what sources have read, and keys. */
export type TopEvent =
  /** All jobs to be shown; those that are missing are taken away. Newest first. */
  | { readonly type: 'jobsListed'; readonly jobs: readonly ListedJobRow[] }
  | { readonly type: 'jobLooked'; readonly jobId: JobId; readonly look: JobLook }
  | { readonly type: 'jobTroubled'; readonly jobId: JobId; readonly reason: string }
  /** `isLast`: nothing follows the units of this page. */
  | {
      readonly type: 'unitsListed'
      readonly query: UnitsQuery
      readonly units: readonly ListedUnit[]
      readonly isLast: boolean
    }
  | { readonly type: 'unitsTroubled'; readonly query: UnitsQuery; readonly reason: string }
  | { readonly type: 'unitOpened'; readonly jobId: JobId; readonly unit: number; readonly detail: UnitDetail }
  /** All peers that are seen; those that are missing are taken away. */
  | { readonly type: 'peersSeen'; readonly peers: readonly Pick<PeerRow, 'nodeId' | 'address' | 'eligible'>[] }
  | {
      readonly type: 'peerAnswered'
      readonly nodeId: NodeId
      readonly status: StatusReply
      readonly roundTripMs: number
    }
  | { readonly type: 'peerTroubled'; readonly nodeId: NodeId; readonly reason: string }
  /** What the process of this machine says of itself; undefined with the reason why there is none. */
  | { readonly type: 'processSeen'; readonly machine: ProcessState }
  | { readonly type: 'processGone'; readonly reason: string }
  | { readonly type: 'logged'; readonly entry: LogEntry }
  /** How something that was asked for went. */
  | { readonly type: 'noticed'; readonly text: string; readonly tone: 'good' | 'bad' }
  | { readonly type: 'keyPressed'; readonly key: KeyPress }
  | { readonly type: 'resized'; readonly columns: number; readonly rows: number }
  /** A second has passed: ages on the screen change. */
  | { readonly type: 'ticked'; readonly wallMs: number }

/** What is to be done, in this order. */
export type TopEffect =
  | { readonly type: 'quit' }
  /** The same by Ctrl-C. */
  | { readonly type: 'interrupt' }
  | { readonly type: 'showTab'; readonly tab: Tab }
  | { readonly type: 'listUnits'; readonly query: UnitsQuery }
  | { readonly type: 'openUnit'; readonly jobId: JobId; readonly unit: number }
  | { readonly type: 'cancelJob'; readonly jobId: JobId }
  | { readonly type: 'retryJob'; readonly jobId: JobId }
  | { readonly type: 'pause' }
  | { readonly type: 'resume' }
