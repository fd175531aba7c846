import type { WorkerBar } from '../proto/explain-messages.js'
import type { JobSpec } from '../proto/model.js'
import { formatBytes } from './quantity.js'

/** What bars workers from a job, and the value on their side that decides it: bytes, a version, or a word. */
export interface Bar {
  readonly bar: WorkerBar
  readonly value: string
}

/** What an owner says that may not grant: its grants would be void (`job/facts/facts.ts`). */
export const OTHER_OWNERS = 'the job names other owners'

/** Restraints that a worker tells of, as people say them. */
const RESTRAINED: Readonly<Record<string, string>> = {
  pause: 'paused',
  drain: 'leaving',
  hours: 'outside their hours',
  days: 'not on this day',
  'when-idle': 'their machine is in use',
  'on-battery': 'on battery',
  'max-temp': 'too hot',
  'pause-for': 'paused for another program',
  'cpu-time': 'given no CPU time',
  units: 'they computed as many units as they were to',
  for: 'their time is up',
  disk: 'their disk quota is used up',
  outputs: 'full of outputs that are still to be fetched',
  other: 'they ask for nothing',
}

/** Why a worker takes nothing of a job, as it said itself, as people say it. */
const REFUSED: Readonly<Record<string, string>> = {
  refuse: 'refuses the submitter',
  accept: 'accepts other submitters only',
  memory: 'offers less memory than a unit may use',
  task: 'does not have the task',
  profile: 'does not know the sandbox profile',
  job: 'works on another job only',
  broken: 'could not compute it',
}

/** A bar in words that follow "none may take it:", or that a worker is told. */
export function barText({ bar, value }: Bar, spec: JobSpec): string {
  switch (bar) {
    case 'memory':
      return `the worker offers ${formatBytes(Number(value))} of memory, a unit may use ${formatBytes(spec.limits.memoryBytes)}`
    case 'task': {
      const task = spec.task.type === 'builtin' ? `${spec.task.name}@${spec.task.version}` : 'the module'
      return value === ''
        ? `the worker does not have the task ${task}`
        : `the worker has ${value}, the job needs ${task}`
    }
    case 'profile':
      return `the worker knows sandbox profile ${value}, the job needs ${spec.profile}`
    case 'job':
      return 'the worker works on another job only'
    case 'unnamed':
      return 'the job names other workers'
    case 'restrained':
      return restraintText(value)
    case 'refused':
      return `the worker ${REFUSED[value] ?? value}`
    case 'convicted':
      return 'the worker gave answers that replays of the submitter proved wrong'
    case 'resting':
      return 'the worker gave units of the job back a moment ago'
    case 'failing':
      return 'the host of the worker failed several units in a row'
    case 'window':
      return 'the answers it has given wait for those of others'
    case 'full':
      return 'the worker has its hands full'
    default:
      return ''
  }
}

/** `paused`, `on battery`: why workers want less than they could compute. */
export function restraintText(word: string): string {
  return RESTRAINED[word] ?? word
}

/** `refuses the submitter`: why a worker takes nothing of a job. */
export function declineText(word: string): string {
  return REFUSED[word] ?? word
}
