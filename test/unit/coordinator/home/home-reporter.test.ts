import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { HomeReporter } from '../../../../coordinator/home/home-reporter.js'
import type { OwnerEvent } from '../../../../coordinator/owner/core/messages.js'
import type { JobId, NodeId } from '../../../../proto/model.js'
import type { Clock } from '../../../../runtime/clock.js'
import { GridError } from '../../../../runtime/errors.js'
import { silentLogger } from '../../../../runtime/logger.js'

const JOB = 'a'.repeat(64) as JobId
const REASON = 'the first 20 units all failed'
const HOMES = ['1', '2', '3'].map((digit) => ({ nodeId: digit.repeat(40) as NodeId, address: `home-${digit}:1` }))

/** A reporter of one job with three homes, nearest first; `words`: what each says of stopping it, undefined: it is down. */
class Reporting {
  readonly words: (string | undefined)[] = ['', '', '']
  stopped = ''
  /** Each word on stopping that the owner was given. */
  readonly told: string[] = []
  readonly reporter: HomeReporter
  #now = 0
  #timers: { readonly at: number; readonly run: () => void }[] = []

  constructor() {
    const clock: Clock = {
      now: () => this.#now,
      wallMs: () => this.#now,
      setTimer: (ms, run) => {
        const timer = { at: this.#now + ms, run }
        this.#timers.push(timer)
        return {
          cancel: () => {
            this.#timers = this.#timers.filter((one) => one !== timer)
          },
        }
      },
    }
    const shard = { shard: 0, finished: false }
    const job = { jobId: JOB, ordersDigest: undefined, spec: {} }
    let changed = (_: JobId, __: number) => {}
    this.reporter = new HomeReporter({
      clock,
      logger: silentLogger,
      transport: {
        call: async ({ address }: { readonly address: string }) => {
          const stopped = this.words[HOMES.findIndex((home) => home.address === address)]
          if (stopped === undefined) throw new GridError('unreachable', 'down')
          return { orders: [], stopped }
        },
      },
      directory: {
        self: { nodeId: 'f'.repeat(40), address: 'self:1' },
        keepers: async () => ({ owners: HOMES, guards: [] }),
        onNeighboursChanged: () => {},
        announce: () => {},
      },
      book: { get: () => job },
      owner: {
        core: {
          job: () => ({ stopped: this.stopped, shards: new Map([[0, shard]]) }),
          report: () => ({ summary: {}, waiting: '', firstGrantAt: undefined }),
          ready: () => 0,
        },
        onShardChanged: (handler: typeof changed) => {
          changed = handler
        },
        handle: (event: OwnerEvent) => {
          if (event.type !== 'jobStopped') return
          this.stopped = event.reason
          this.told.push(event.reason)
        },
      },
      home: { core: { has: () => false }, revive: async () => {} },
      options: { homeOwners: 3 },
      finished: () => undefined,
      takeOrders: async () => {},
    } as never)
    changed(JOB, 0)
  }

  /** Lets time pass in steps short enough for what is asked to be answered. */
  async pass(seconds: number): Promise<void> {
    for (let step = 0; step < 10 * seconds; step++) {
      this.#now += 100
      if (step % 10 === 0) this.reporter.renew()
      for (const timer of this.#timers.filter(({ at }) => at <= this.#now)) {
        this.#timers = this.#timers.filter((one) => one !== timer)
        timer.run()
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

const reporters = suite('HomeReporter')

reporters('does not stop a job at the word of one home, the nearest or not, while others answer', async () => {
  for (const liar of [0, 1, 2]) {
    const reporting = new Reporting()
    reporting.words[liar] = REASON
    await reporting.pass(20)
    assert.is(reporting.stopped, '')
    reporting.reporter.close()
  }
})

reporters('stops a job that two homes call stopped, and lets it go on once one of them takes it back', async () => {
  const reporting = new Reporting()
  reporting.words[0] = reporting.words[1] = REASON
  await reporting.pass(20)
  assert.is(reporting.stopped, REASON)
  reporting.words[0] = ''
  await reporting.pass(10)
  assert.is(reporting.stopped, '')
  reporting.reporter.close()
})

reporters('goes by the word of the only home that answers', async () => {
  const reporting = new Reporting()
  reporting.words[0] = reporting.words[1] = undefined
  reporting.words[2] = REASON
  await reporting.pass(30)
  assert.is(reporting.stopped, REASON)
  reporting.reporter.close()
})

reporters('does not let a stopped job go on because no home has answered for a while', async () => {
  const reporting = new Reporting()
  reporting.words.fill(REASON)
  await reporting.pass(20)
  assert.equal(reporting.told, [REASON])
  reporting.words.fill(undefined)
  await reporting.pass(20)
  reporting.words.fill(REASON)
  await reporting.pass(20)
  assert.equal(reporting.told, [REASON])
  reporting.reporter.close()
})

reporters.run()
