import type { Conditions } from '../core/decision.js'
import type { PreferenceName } from '../core/preferences.js'

/** What is asked of the machine; the rest is not looked at. */
export interface SensorWants {
  readonly battery: boolean
  readonly temperature: boolean
  readonly idle: boolean
  readonly programs: readonly string[]
}

/** How the machine is. One version an operating system. */
export interface Sensors {
  /** Why the machine cannot honour a preference, for people; undefined: it can. */
  refusal(name: PreferenceName): string | undefined
  /** Looks now. What cannot be read is undefined. Never rejects. */
  read(wanted: SensorWants): Promise<Conditions>
}

/** Whether a running program, by the names it goes by, is the one that a volunteer named: case and `.exe` do not matter. */
export function isProgram(wanted: string, names: readonly string[]): boolean {
  const plain = (name: string) => name.toLowerCase().replace(/\.exe$/, '')
  return names.some((name) => plain(name) === plain(wanted))
}
