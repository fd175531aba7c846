import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { JobId, PublicKey } from '../../../proto/model.js'
import type { Clock } from '../../../runtime/clock.js'
import { type Disk, nodeDisk } from '../../../runtime/disk.js'
import { GridError } from '../../../runtime/errors.js'
import { silentLogger } from '../../../runtime/logger.js'
import { frameRecord, serializeRecord } from '../../../runtime/record-log.js'
import { PAGES_MAX, ROWS_MAX, SettledBook, type SettledEntry } from '../../../worker/core/settled-book.js'
import { UnitSet } from '../../../worker/core/unit-set.js'
import { dayOf, LEDGER_FILE, Ledger, type LedgerContent, readLedger } from '../../../worker/ledger.js'
import { memoryDisk } from '../../support/client/memory-disk.js'
import { rejects } from '../../support/rejects.js'
import { seededRandom } from '../../support/seeded-random.js'
import { temporaryFolder } from '../cli/run.js'

const DAY_MS = 86_400_000
const jobNamed = (n: number) => n.toString(16).padStart(64, '0') as JobId
const keyNamed = (n: number) => n.toString(16).padStart(64, 'a') as PublicKey
const job = (n: number) => ({ jobId: jobNamed(n), jobName: `job ${n}`, submitter: keyNamed(n % 3) })
const unit = (n: number) => ({ unit: n, fuel: BigInt(n) + 10n, computeMs: n + 1 })

/** A clock of the test's hands; timers fire at once. */
class TestClock implements Clock {
  wall = 20_000 * DAY_MS
  now = () => 0
  wallMs = () => this.wall
  setTimer(_delayMs: number, action: () => void) {
    let isOn = true
    setImmediate(() => isOn && action())
    return {
      cancel: () => {
        isOn = false
      },
    }
  }
}

const open = (disk: Disk, clock: Clock = new TestClock()) =>
  Ledger.open({ disk, clock, random: seededRandom(7), logger: silentLogger })
/** The disk as one life of a process sees it: what a dead process still does is not done. */
function mortal(disk: Disk): { readonly disk: Disk; end(): void } {
  let isOver = false
  const never = new Promise<never>(() => {})
  return {
    disk: {
      ...disk,
      append: (file, bytes) => (isOver ? never : disk.append(file, bytes)),
      sync: (file) => (isOver ? never : disk.sync(file)),
      write: (file, bytes) => (isOver ? never : disk.write(file, bytes)),
    },
    end: () => {
      isOver = true
    },
  }
}
const totals = ({ rows }: LedgerContent) => ({
  agreed: rows.reduce((sum, row) => sum + row.agreed, 0),
  disagreed: rows.reduce((sum, row) => sum + row.disagreed, 0),
  fuel: rows.reduce((sum, row) => sum + row.fuel, 0n),
})

const test = suite('Ledger')

test('a unit counts once, however often and as whatever it is called settled', async () => {
  const disk = memoryDisk()
  const first = await open(disk)
  assert.equal(first.settle(job(1), [unit(3), unit(4), unit(3)], [unit(4)]), { agreed: 2, disagreed: 0 })
  assert.equal(first.settle(job(1), [unit(4)], [unit(5)]), { agreed: 0, disagreed: 1 })
  await first.close()
  const again = await open(disk)
  assert.equal(again.settle(job(1), [unit(3), unit(5), unit(6)], [unit(4)]), { agreed: 1, disagreed: 0 })
  assert.equal(again.settle(job(2), [unit(3)], []), { agreed: 1, disagreed: 0 }, 'of another job')
  await again.close()
  assert.equal(totals((await readLedger(disk))!), { agreed: 4, disagreed: 1, fuel: 13n + 14n + 16n + 13n })
})

test('what was counted is there for a reader once it is flushed, while the worker goes on', async () => {
  const folder = temporaryFolder()
  const disk = nodeDisk(folder.path)
  const ledger = await open(disk)
  ledger.settle(job(1), [unit(1)], [])
  await ledger.flushed()
  assert.is(totals((await readLedger(nodeDisk(folder.path)))!).agreed, 1)
  ledger.settle(job(1), [unit(2)], [])
  await ledger.flushed()
  assert.is(totals((await readLedger(nodeDisk(folder.path)))!).agreed, 2)
  await ledger.close()
  folder.close()
})

test('a crash at any byte, and settling anew what was not flushed, gives the sums of one life without crashes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          job: fc.integer({ min: 0, max: 2 }),
          agreed: fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 5 }),
          disagreed: fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 2 }),
          days: fc.integer({ min: 0, max: 2 }),
          flush: fc.boolean(),
          crash: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 3, nil: undefined }),
        }),
        { maxLength: 12 },
      ),
      async (steps) => {
        const clock = new TestClock()
        const disk = memoryDisk()
        let life = mortal(disk)
        let ledger = await open(life.disk, clock)
        const model = new Map<string, 'agreed' | 'disagreed'>()
        /** What owners would say again after a crash: whatever was not on disk for sure. */
        let unsafe: (() => void)[] = []
        for (const step of steps) {
          clock.wall += step.days * DAY_MS
          const settle = () => {
            for (const n of step.agreed) model.set(`${step.job}/${n}`, model.get(`${step.job}/${n}`) ?? 'agreed')
            for (const n of step.disagreed) model.set(`${step.job}/${n}`, model.get(`${step.job}/${n}`) ?? 'disagreed')
            ledger.settle(job(step.job), step.agreed.map(unit), step.disagreed.map(unit))
          }
          settle()
          unsafe.push(settle)
          const synced = (await disk.read(LEDGER_FILE))!.length
          if (step.flush || step.crash !== undefined) await ledger.flushed()
          if (step.flush) unsafe = []
          if (step.crash === undefined) continue
          // A power loss keeps what was synced and any part of the rest: here, of the last append.
          const file = (await disk.read(LEDGER_FILE))!
          const keep = step.flush ? file.length : synced + Math.floor((file.length - synced) * step.crash)
          life.end()
          await disk.write(LEDGER_FILE, file.subarray(0, keep))
          life = mortal(disk)
          ledger = await open(life.disk, clock)
          for (const again of unsafe) again()
        }
        await ledger.close()
        const read = (await readLedger(disk))!
        const expected = [...model.values()]
        assert.is(totals(read).agreed, expected.filter((fate) => fate === 'agreed').length)
        assert.is(totals(read).disagreed, expected.filter((fate) => fate === 'disagreed').length)
        const fuel = [...model].reduce(
          (sum, [name, fate]) => (fate === 'agreed' ? sum + BigInt(name.split('/')[1]!) + 10n : sum),
          0n,
        )
        assert.is(totals(read).fuel, fuel)
      },
    ),
    { numRuns: 40 },
  )
})

test('a disk that fails loses nothing and counts nothing twice, whichever write it is', async () => {
  for (const failing of ['append', 'sync', 'write'] as const) {
    const inner = memoryDisk()
    let fails: string | undefined
    const check = (call: string) => {
      if (fails === call) throw new GridError('unavailable', 'the disk is full')
    }
    const disk: Disk = {
      ...inner,
      append: async (file, bytes) => {
        check('append')
        await inner.append(file, bytes)
      },
      sync: async (file) => {
        check('sync')
        await inner.sync(file)
      },
      write: async (file, bytes) => {
        // Replaced all the same: what a folder that cannot be synced looks like.
        await inner.write(file, bytes)
        check('write')
      },
    }
    const ledger = await open(disk)
    ledger.settle(job(1), [unit(1)], [])
    await ledger.flushed()
    ledger.settle(job(1), [unit(2)], [])
    for (const call of failing === 'write' ? (['append', 'write'] as const) : [failing]) {
      fails = call
      await rejects(ledger.flushed(), 'unavailable')
    }
    fails = undefined
    ledger.settle(job(1), [unit(3)], [])
    await ledger.flushed()
    assert.is(totals((await readLedger(disk))!).agreed, 3, failing)
    await ledger.close()
    assert.equal((await open(disk)).settle(job(1), [unit(1), unit(2), unit(3)], []), { agreed: 0, disagreed: 0 })
  }
})

test('a long log is rewritten as sums: a year of units takes little room', async () => {
  const disk = memoryDisk()
  const clock = new TestClock()
  let ledger = await open(disk, clock)
  for (let day = 0; day < 365; day++) {
    clock.wall += DAY_MS
    const units = Array.from({ length: 200 }, (_, i) => unit((day % 30) * 200 + i))
    ledger.settle(job(Math.floor(day / 30)), units, [])
    if (day % 7 === 0) await ledger.flushed()
  }
  await ledger.close()
  ledger = await open(disk, clock)
  const bytes = (await disk.read(LEDGER_FILE))!.length
  assert.ok(bytes < 512 * 1024, `${bytes} bytes`)
  assert.is(totals(ledger.content()).agreed, 365 * 200)
  assert.is(ledger.content().rows.length, 365)
})

test('the file of a newer version is refused, and left alone', async () => {
  const disk = memoryDisk()
  const newer = frameRecord(serializeRecord({ v: 2, type: 'base', id: '', sinceMs: 0, rows: [], counted: [] }))
  await disk.write(LEDGER_FILE, newer)
  await rejects(open(disk), 'unsupported')
  assert.equal(await disk.read(LEDGER_FILE), newer)
})

test('days are those of UTC', () => {
  assert.is(dayOf(Date.parse('2026-11-23T23:59:59.999Z')), dayOf(Date.parse('2026-11-23T00:00:00Z')))
  assert.is(dayOf(Date.parse('2026-11-24T00:00:00Z')), dayOf(Date.parse('2026-11-23T00:00:00Z')) + 1)
})

test.run()

const book = suite('SettledBook')

const entry = (n: number, day: number, units: readonly number[]): SettledEntry => ({
  ...job(n),
  day,
  agreed: units,
  disagreed: [],
  fuel: BigInt(units.length),
  computeMs: 1,
})

book('rows stay bounded, as those of the oldest days are added up, and totals stay exact', () => {
  const kept = new SettledBook()
  const added = ROWS_MAX + 5_000
  for (let n = 0; n < added; n++) kept.add(entry(n, Math.floor(n / 100), [0]))
  const rows = kept.rows()
  assert.ok(rows.length <= ROWS_MAX, `${rows.length} rows`)
  assert.is(
    rows.reduce((sum, row) => sum + row.agreed, 0),
    added,
  )
  assert.is(rows[0]!.jobId, '', 'jobs of the oldest day are one')
  assert.is(rows.at(-1)!.jobId, jobNamed(added - 1), 'those of the last are told apart')
})

book('units that were counted are forgotten by job, the longest silent first, and never of the job at hand', () => {
  const kept = new SettledBook()
  const many = Array.from({ length: PAGES_MAX / 8 }, (_, page) => page * 1_024)
  for (let n = 0; n < 9; n++) kept.add(entry(n, 5, many))
  const isKnown = (n: number) => kept.unseen(job(n), [unit(0)], [], 5) === undefined
  assert.is(isKnown(0), false)
  for (let n = 1; n < 9; n++) assert.is(isKnown(n), true, `job ${n}`)
  kept.add(entry(20, 200, [1]))
  assert.is(isKnown(8), false, 'a job silent for a hundred days')
  assert.is(kept.unseen(job(20), [unit(1)], [], 200), undefined)
})

book('a set of units gives back what was put in, also after it was stored', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9_999_999 })), (units) => {
      const set = new UnitSet()
      const seen = new Set<number>()
      for (const one of units) {
        assert.is(set.add(one), !seen.has(one))
        seen.add(one)
      }
      const read = UnitSet.of(set.pages())
      for (const one of units) assert.is(read.has(one), true)
      for (const one of units) assert.is(read.has(one + 1), seen.has(one + 1))
    }),
  )
})

book.run()
