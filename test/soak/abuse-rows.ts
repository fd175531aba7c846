import type { Attack, AttackOptions } from '../support/hostile/attack.js'
import {
  floodOfAnnouncements,
  floodOfBlobs,
  floodOfJobs,
  floodOfQuestions,
  halfHandshakes,
  silentSockets,
  slowReaders,
} from '../support/hostile/floods.js'
import { brokenFrames, quickResets } from '../support/hostile/frames.js'
import {
  connectionsOfMany,
  connectionsOfOne,
  keptJobs,
  WAITING_STRANGERS,
  waitingCalls,
} from '../support/hostile/held.js'
import {
  closedWindows,
  emptyFrames,
  emptyMessages,
  endlessHeaders,
  headerBombs,
  keyChanges,
  pingsAndSettings,
  rapidResets,
  smallCompressed,
  unfinishedMessages,
} from '../support/hostile/http2.js'
import { lyingContent, lyingJobs } from '../support/hostile/lies.js'
import { lyingWorkers } from '../support/hostile/workers.js'

/** One attack on a peer. */
export interface Row {
  /** Rounds follow one another until time is up. */
  readonly round: (attack: Attack) => Promise<void>
  /** What of docs/limits.md bounds it. */
  readonly limit: string
  readonly options?: Pick<AttackOptions, 'strangers'>
}

const MANGLED = 500
const RESETS = 'resets: 1,000 in quick succession, 33 a second from then on'
const HELD = 'what connections make a peer hold: 128 MiB; calls of a connection: 64'

/** Four ways at once, each from an address of its own: what calls, connections, memory and handshakes cost. */
async function together(attack: Attack): Promise<void> {
  const questions = async () => {
    while (!attack.signal.aborted) await floodOfQuestions(attack)
  }
  await Promise.all([
    questions(),
    unfinishedMessages(attack, '127.0.0.2'),
    rapidResets(attack, '127.0.0.3'),
    halfHandshakes(attack, '127.0.0.4'),
  ])
}

/** Every attack of `npm run soak -- abuse`, by name. */
export const abuseRows: Readonly<Record<string, Row>> = {
  questions: { round: floodOfQuestions, limit: 'turns of 4 ms; calls that wait: 512 of a key' },
  jobs: { round: floodOfJobs, limit: 'jobs: 1,000 of a submitter, 300 a minute of an address; shards open: 4,096' },
  'kept-jobs': { round: keptJobs, limit: 'jobs that one peer passed on: three times as many as are free' },
  'lying-jobs': { round: lyingJobs, limit: 'a spec: 256 KiB, 10 million units; orders of a job: 256' },
  'lying-workers': { round: lyingWorkers, limit: 'streams of a worker key: 4; its credit' },
  announcements: { round: floodOfAnnouncements, limit: 'announcements: 4,096; 128 of a submitter, 16 of a job' },
  blobs: { round: floodOfBlobs, limit: 'uploads that are not finished: 16 of a submitter; transfers: 16 of a key' },
  'lying-content': { round: lyingContent, limit: 'as for blobs; records: 256 of a signer' },
  'mangled-calls': { round: (attack) => attack.mangledCalls(MANGLED), limit: 'every field is checked as it is read' },
  'mangled-streams': {
    round: (attack) => attack.mangledStreams(MANGLED),
    limit: 'every field is checked as it is read',
  },
  frames: { round: brokenFrames, limit: 'a message: 1 MiB, not compressed; unread bytes of a stream: 8 MiB' },
  resets: { round: (attack) => quickResets(attack, 5_000), limit: RESETS },
  'slow-readers': { round: slowReaders, limit: 'answers that wait: 16 MiB of a stream; watchers: 64 of a key' },
  'waiting-calls': {
    round: waitingCalls,
    limit: 'watchers: 1,000, 64 of a key; streams of results: 64 of a key; calls of a connection: 64',
    options: { strangers: WAITING_STRANGERS },
  },
  'connections-one': { round: connectionsOfOne, limit: 'connections: 4,096; 64 of an address, loopback exempt' },
  'connections-many': { round: connectionsOfMany, limit: 'connections: 4,096, the newest of whoever has most ends' },
  'silent-sockets': { round: silentSockets, limit: 'handshakes: 128, the oldest ends; 10 s' },
  'half-handshakes': { round: halfHandshakes, limit: 'handshakes: 128, the oldest ends; 10 s' },
  'rapid-resets': { round: rapidResets, limit: RESETS },
  'endless-headers': { round: endlessHeaders, limit: 'headers of a call: those of nghttp2' },
  'pings-settings': { round: pingsAndSettings, limit: 'answers that nobody reads: those of nghttp2' },
  'header-bombs': { round: headerBombs, limit: 'headers of a call: those of nghttp2' },
  'empty-frames': { round: emptyFrames, limit: RESETS },
  'closed-windows': { round: closedWindows, limit: HELD },
  'unfinished-messages': { round: unfinishedMessages, limit: HELD },
  'key-changes': { round: keyChanges, limit: 'secrets of a TLS connection: 64' },
  'empty-messages': { round: emptyMessages, limit: 'calls and messages that wait: 512 of a key; turns of 4 ms' },
  'small-compressed': { round: smallCompressed, limit: 'compressed messages: none; resets' },
  together: { round: together, limit: `turns of 4 ms, fair by address; handshakes: 128; ${HELD}; ${RESETS}` },
}
