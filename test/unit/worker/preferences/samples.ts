import type { PublicKey } from '../../../../proto/model.js'
import type { Preferences } from '../../../../worker/preferences/core/preferences.js'
import type { LocalTime, Schedule } from '../../../../worker/preferences/core/schedule.js'
import { parseCpus } from '../../../../worker/preferences/cpus.js'
import { type PreferenceTexts, readPreferences } from '../../../../worker/preferences/read.js'

/** 22:00-07:00. */
export const NIGHT: Schedule = { hours: [{ from: 22 * 60, to: 7 * 60 }], days: new Set() }

export function parts(day: number, clock: string): LocalTime {
  const [hour = 0, minute = 0] = clock.split(':').map(Number)
  return { day, minute: hour * 60 + minute }
}

/** Runs `action` with the clock on the wall of a time zone. */
export function withZone(zone: string, action: (localAt: (wallMs: number) => LocalTime) => void): void {
  const before = process.env.TZ
  process.env.TZ = zone
  try {
    action((wallMs) => {
      const date = new Date(wallMs)
      return { day: date.getDay(), minute: date.getHours() * 60 + date.getMinutes() }
    })
  } finally {
    if (before === undefined) delete process.env.TZ
    else process.env.TZ = before
  }
}

export const ALICE = 'a1'.repeat(32) as PublicKey
export const MALLORY = 'b2'.repeat(32) as PublicKey

/** What texts ask for on a machine with 8 threads that can tell everything. */
export function read(
  texts: Readonly<Record<string, string>>,
  refusal = (_: string): string | undefined => undefined,
): Preferences {
  const map: PreferenceTexts = new Map(Object.entries(texts))
  return readPreferences(map, {
    share: (cpus) => ({ threads: parseCpus(cpus, 8), memoryBytes: 256 * 2 ** 20 }),
    names: new Map([['alice', ALICE]]),
    refusal,
  })
}
