import type { PublicKey } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import type { Schedule } from './schedule.js'

/** Every preference by its name: in the configuration file, as a flag, for `prefs`. Besides them `weight.NAME`. */
export const PREFERENCE_NAMES = [
  'cpus',
  'cpu-time',
  'hours',
  'days',
  'when-idle',
  'on-battery',
  'max-temp',
  'pause-for',
  'memory',
  'disk',
  'rate',
  'units',
  'for',
  'accept',
  'refuse',
] as const

/** One of {@link PREFERENCE_NAMES}. */
export type PreferenceName = (typeof PREFERENCE_NAMES)[number]

/** What a volunteer wants, read and checked. */
export interface Preferences {
  /** Threads that compute. Range: 0 to 4,096. */
  readonly threads: number
  /** Share of the time in which they may. Range: 0.01 to 1. */
  readonly share: number
  /** When, in local time. */
  readonly schedule: Schedule
  /** Only once nobody has used the machine for so long; undefined: always. */
  readonly whenIdleMs: Millis | undefined
  /** Least charge with which to compute on battery. Unit: percent. 0: always, undefined: never on battery. */
  readonly batteryMin: number | undefined
  /** Above this temperature of the processor nothing is computed; undefined: the machine looks after itself. Unit: degrees Celsius. */
  readonly temperatureMax: number | undefined
  /** Programs that have the machine for themselves while they run. */
  readonly pauseFor: readonly string[]
  /** Most memory a unit may ask for. Unit: bytes. */
  readonly memoryBytes: number
  /** Modules and inputs kept on disk for later jobs. Unit: bytes. */
  readonly diskBytes: number
  /** Inputs fetched and outputs sent, each; undefined: as fast as it goes. Unit: bytes a second. */
  readonly rateBytes: number | undefined
  /** Units to compute in all since the start; undefined: no end. */
  readonly unitsMax: number | undefined
  /** Time to compute since the start; undefined: no end. */
  readonly forMs: Millis | undefined
  /** The only submitters to compute for; empty: for all. */
  readonly accept: ReadonlySet<PublicKey>
  /** Submitters never to compute for. */
  readonly refuse: ReadonlySet<PublicKey>
  /** How time is shared between submitters that have work; who is not named has weight 1. Range: 0.01 to 100. */
  readonly weights: ReadonlyMap<PublicKey, number>
}

/** Whether the volunteer computes for this submitter at all. */
export function accepts({ accept, refuse }: Pick<Preferences, 'accept' | 'refuse'>, submitter: PublicKey): boolean {
  return !refuse.has(submitter) && (accept.size === 0 || accept.has(submitter))
}
