import { type Clock, type Millis, pause } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'
import type { ByteStream } from './file-content.js'

/** Lines of one job of a series. */
export const BATCH_LINES_MAX = 1_024
/** Time that a first line waits for others to share its job. Unit: ms. */
export const BATCH_MS: Millis = 1_000
/** Bytes of one job; also the longest line. */
const BATCH_BYTES_MAX = 8 * 2 ** 20
const LF = 10

/** Consecutive lines, line ends included. */
export interface LineBatch {
  readonly bytes: Uint8Array
  /** Number of its first line in the whole input, from 0. */
  readonly firstLine: number
}

/**
 * Cuts a stream into batches of whole lines: of 1,024 lines or 8 MiB, or what has come within one second of the first. A
 * last line without a line end counts. Ends early when `signal` aborts. Throws GridError `invalid` for a line over 8 MiB.
 */
export async function* lineBatches(
  stream: ByteStream,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<LineBatch, void, undefined> {
  const chunks = stream[Symbol.asyncIterator]()
  let rest = Buffer.alloc(0)
  let lines = 0
  let batch: Buffer[] = []
  let batchLines = 0
  let batchBytes = 0
  let due: Promise<'due'> | undefined
  let stopTimer = new AbortController()
  const take = (): LineBatch => {
    const made = { bytes: new Uint8Array(Buffer.concat(batch)), firstLine: lines }
    lines += batchLines
    batch = []
    batchLines = 0
    batchBytes = 0
    stopTimer.abort()
    due = undefined
    return made
  }
  const aborted = new Promise<'aborted'>((resolve) => {
    if (signal.aborted) resolve('aborted')
    else signal.addEventListener('abort', () => resolve('aborted'), { once: true })
  })
  let next = chunks.next()
  next.catch(() => {})
  try {
    for (;;) {
      const event = await Promise.race([next, aborted, ...(due === undefined ? [] : [due])])
      if (event === 'aborted') return
      if (event === 'due') {
        if (batchLines > 0) yield take()
        continue
      }
      if (event.done) break
      const chunk = typeof event.value === 'string' ? Buffer.from(event.value) : Buffer.from(event.value)
      next = chunks.next()
      next.catch(() => {})
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      let start = 0
      for (let end = rest.indexOf(LF, start); end >= 0; end = rest.indexOf(LF, start)) {
        const line = rest.subarray(start, end + 1)
        start = end + 1
        if (batchBytes + line.length > BATCH_BYTES_MAX && batchLines > 0) yield take()
        batch.push(line)
        batchLines++
        batchBytes += line.length
        if (due === undefined) {
          stopTimer = new AbortController()
          due = pause(clock, BATCH_MS, stopTimer.signal).then(() => 'due' as const)
        }
        if (batchLines === BATCH_LINES_MAX) yield take()
      }
      rest = rest.subarray(start)
      if (rest.length > BATCH_BYTES_MAX) {
        throw new GridError('invalid', `line ${lines + batchLines + 1} is longer than ${BATCH_BYTES_MAX} bytes`)
      }
    }
    if (rest.length > 0) {
      batch.push(rest)
      batchLines++
    }
    if (batchLines > 0) yield take()
  } finally {
    stopTimer.abort()
  }
}
