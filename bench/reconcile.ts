import { fork } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Endpoint } from '../runtime/transport.js'
import type { Measurement } from './measurement.js'

const FACTS = 1_000_000
/** Bars of one sync: bytes of messages both ways, rounds to find the difference, and CPU of either side. */
const BYTES_BAR = 4 * 1024
const ROUNDS_BAR = 6
const CPU_BAR_MS = 200

const ENTRY = fileURLToPath(new URL('./reconcile-side.js', import.meta.url))

/** One side, in a process of its own. */
class Side {
  readonly #child
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  #next = 1

  constructor(path: string) {
    this.#child = fork(ENTRY, [path])
    this.#child.on('message', (message: { id: number; value: never; error?: string }) => {
      const waiting = this.#waiting.get(message.id)
      this.#waiting.delete(message.id)
      if (message.error === undefined) waiting?.resolve(message.value)
      else waiting?.reject(new Error(message.error))
    })
    this.#child.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('a side of the benchmark ended'))
    })
  }

  do<T>(command: string, argument: object = {}): Promise<T> {
    const id = this.#next++
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ id, command, argument })
    })
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()))
    this.#child.disconnect()
    await gone
  }
}

/**
 * Two owners with a million facts of one shard on disk, one of which has one more: from the first sync after both were
 * started until that fact is on both disks. Over the real store, service and gRPC on loopback.
 */
export async function reconcile(): Promise<Measurement> {
  const folder = mkdtempSync(join(tmpdir(), 'manyhands-reconcile-'))
  const paths = ['one.sqlite', 'other.sqlite'].map((name) => join(folder, name))
  const sides: Side[] = []
  const start = (path: string) => {
    const side = new Side(path)
    sides.push(side)
    return side
  }
  try {
    const filling = start(paths[0]!)
    await filling.do('fill', { count: FACTS })
    await filling.do('close')
    await filling.stop()
    copyFileSync(paths[0]!, paths[1]!)
    const [one, other] = paths.map(start) as [Side, Side]
    await other.do('add', { index: FACTS })
    const loaded = await one.do<{ facts: number; loadMs: number }>('load')
    await other.do('load')
    const peer = await other.do<Endpoint>('listen')
    await one.do('expect', { next: FACTS })
    const before = [await one.do<number>('cpuMs'), await other.do<number>('cpuMs')]
    const sync = await one.do<{ outcome: string; bytes: number; rounds: number; facts: number }>('sync', { peer })
    const after = [await one.do<number>('cpuMs'), await other.do<number>('cpuMs')]
    if (sync.outcome !== 'merged' || sync.facts !== FACTS + 1)
      throw new Error(
        `the sync ended ${sync.outcome} with ${sync.facts} facts of ${loaded.facts}, ${sync.rounds} rounds`,
      )
    const cpuMs = Math.max(...after.map((ms, i) => ms - before[i]!))
    return {
      bench: 'reconcile',
      value: Math.round(cpuMs),
      unit: 'ms CPU',
      bar: CPU_BAR_MS,
      ratio: Math.min(CPU_BAR_MS / cpuMs, BYTES_BAR / sync.bytes, ROUNDS_BAR / sync.rounds),
      facts: loaded.facts,
      bytes: sync.bytes,
      rounds: sync.rounds,
      loadMs: loaded.loadMs,
    }
  } finally {
    await Promise.all(sides.map((side) => side.stop().catch(() => {})))
    rmSync(folder, { recursive: true, force: true })
  }
}
