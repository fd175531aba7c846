import { readFileSync, statSync } from 'node:fs'

/**
 * Loaded before a program (`node --import`), moves its wall clock by the milliseconds that the file `MOVED_CLOCK` holds,
 * and again whenever that changes. Time that only passes (`performance.now`, timers) stays as it is.
 */
const RealDate = Date
const file = process.env.MOVED_CLOCK!
/** The file is looked at this often. Unit: ms. */
const LOOK_MS = 50

let movedMs = 0
let lookedAt = Number.NEGATIVE_INFINITY
let mark = ''

function now(): number {
  if (performance.now() - lookedAt >= LOOK_MS) {
    lookedAt = performance.now()
    const { mtimeMs, size } = statSync(file)
    const seen = `${mtimeMs} ${size}`
    if (seen !== mark) {
      mark = seen
      const read = Number(readFileSync(file, 'utf8'))
      // It may be read while it is written.
      if (Number.isFinite(read)) movedMs = read
    }
  }
  return Math.floor(RealDate.now() + movedMs)
}

class MovedDate extends RealDate {
  constructor(...values: readonly unknown[]) {
    if (values.length === 0) super(now())
    else super(...(values as [number]))
  }

  static override now(): number {
    return now()
  }
}

globalThis.Date = MovedDate as DateConstructor
