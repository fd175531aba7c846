import { readFileSync } from 'node:fs'

/**
 * Loaded into a process before anything else (`node --import`): its wall clock is an hour ahead, or by as many milliseconds
 * as the file `SHIFTED_CLOCK` says, read again whenever it is asked for the time.
 */
const HOUR_MS = 3_600_000
const file = process.env.SHIFTED_CLOCK
const now = Date.now.bind(Date)
let shiftMs = HOUR_MS

Date.now = () => {
  if (file !== undefined) {
    const text = readFileSync(file, 'utf8')
    // It may be just being written.
    if (text !== '') shiftMs = Number(text)
  }
  return now() + shiftMs
}
