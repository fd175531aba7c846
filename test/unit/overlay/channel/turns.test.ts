import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Turns } from '../../../../overlay/channel/turns.js'
import type { NodeId, PublicKey } from '../../../../proto/model.js'
import type { Caller } from '../../../../runtime/transport.js'

const turns = suite('Turns')

/** An event loop and a clock of our own: work takes the time that it says. */
class Loop {
  nowMs = 0
  readonly done: string[] = []
  readonly turns: Turns
  #next: (() => void)[] = []

  constructor() {
    this.turns = new Turns(
      { now: () => this.nowMs, wallMs: () => 0, setTimer: () => ({ cancel: () => {} }) },
      (action) => this.#next.push(action),
    )
  }

  send(caller: Caller, name: string, tookMs: number): boolean {
    return this.turns.run(caller, () => {
      this.nowMs += tookMs
      this.done.push(name)
    })
  }

  turn(): void {
    const due = this.#next
    this.#next = []
    for (const action of due) action()
  }
}

const callerOf = (host: string, id: number): Caller => ({
  nodeId: id.toString(16).padStart(40, '0') as NodeId,
  publicKey: '' as PublicKey,
  idNonce: new Uint8Array(8),
  host,
})

turns('does what fits a turn of the event loop at once, and the rest in the next', () => {
  const loop = new Loop()
  const caller = callerOf('192.0.2.1', 1)
  for (const name of ['a', 'b', 'c', 'd']) loop.send(caller, name, 3)
  assert.equal(loop.done, ['a', 'b'])
  loop.turn()
  assert.equal(loop.done, ['a', 'b', 'c', 'd'])
})

turns('serves a newcomer before the rest of a flood', () => {
  const loop = new Loop()
  const flood = callerOf('192.0.2.1', 1)
  for (let i = 0; i < 100; i++) loop.send(flood, 'flood', 5)
  loop.send(callerOf('192.0.2.2', 2), 'honest', 1)
  for (let i = 0; i < 3; i++) loop.turn()
  assert.ok(loop.done.includes('honest'), `${loop.done}`)
})

turns('is fair between keys behind one address', () => {
  const loop = new Loop()
  for (let i = 0; i < 100; i++) loop.send(callerOf('192.0.2.1', 1), 'flood', 5)
  loop.send(callerOf('192.0.2.1', 2), 'honest', 1)
  for (let i = 0; i < 3; i++) loop.turn()
  assert.ok(loop.done.includes('honest'), `${loop.done}`)
})

turns('refuses what a key has too much of, without running it', () => {
  const loop = new Loop()
  const flood = callerOf('192.0.2.1', 1)
  let taken = 0
  while (loop.send(flood, 'flood', 5) && taken < 100_000) taken++
  assert.ok(taken < 1_000, `${taken} wait`)
  assert.ok(loop.send(callerOf('192.0.2.1', 2), 'honest', 1))
  for (let i = 0; loop.turns.waiting > 0; i++) {
    assert.ok(i < 2_000, 'it ends')
    loop.turn()
  }
  assert.is(loop.done.filter((name) => name === 'flood').length, taken)
})

turns.run()
