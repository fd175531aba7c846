import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BATCH_LINES_MAX, BATCH_MS, lineBatches } from '../../../cli/job-options/line-batches.js'
import type { Clock } from '../../../runtime/clock.js'
import { systemClock } from '../../../runtime/clock.js'
import { rejects } from '../../support/rejects.js'

const never = new AbortController().signal

async function batches(chunks: readonly string[]) {
  const found: { firstLine: number; text: string }[] = []
  for await (const { bytes, firstLine } of lineBatches(stream(chunks), systemClock, never)) {
    found.push({ firstLine, text: new TextDecoder().decode(bytes) })
  }
  return found
}

async function* stream(chunks: readonly string[]) {
  yield* chunks
}

const cut = suite('lineBatches')

cut('lines are kept whole wherever the stream is cut', async () => {
  assert.equal(await batches(['on', 'e\ntw', 'o\nthree']), [{ firstLine: 0, text: 'one\ntwo\nthree' }])
})

cut('an empty stream has no batch', async () => assert.equal(await batches([]), []))

cut('a batch has 1,024 lines at most, and batches are numbered by their first line', async () => {
  const text = Array.from({ length: 2 * BATCH_LINES_MAX + 3 }, (_, i) => `${i}\n`).join('')
  const found = await batches([text])
  assert.equal(
    found.map(({ firstLine }) => firstLine),
    [0, BATCH_LINES_MAX, 2 * BATCH_LINES_MAX],
  )
  assert.is(found.map((batch) => batch.text).join(''), text)
})

cut('a line does not wait for others longer than a second', async () => {
  const timers: { delayMs: number; action: () => void }[] = []
  const clock: Clock = {
    ...systemClock,
    setTimer(delayMs, action) {
      timers.push({ delayMs, action })
      return { cancel() {} }
    },
  }
  const stop = new AbortController()
  async function* slow() {
    yield 'first\n'
    await new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()))
    yield 'second\n'
  }
  const iterator = lineBatches(slow(), clock, never)
  const first = iterator.next()
  while (timers.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.is(timers[0]?.delayMs, BATCH_MS)
  timers[0]?.action()
  const { value } = await first
  assert.is(new TextDecoder().decode((value as { bytes: Uint8Array }).bytes), 'first\n')
  stop.abort()
  const second = await iterator.next()
  assert.is((second.value as { firstLine: number }).firstLine, 1)
})

cut('it ends when it is aborted, though the stream does not', async () => {
  const stop = new AbortController()
  async function* endless() {
    yield 'x\n'
    await new Promise(() => {})
  }
  const iterator = lineBatches(endless(), systemClock, stop.signal)
  const next = iterator.next()
  stop.abort()
  assert.is((await next).done, true)
})

cut('a line without end is refused', async () => {
  await rejects(batches(['x'.repeat(9 * 2 ** 20)]), 'invalid')
})

cut.run()
