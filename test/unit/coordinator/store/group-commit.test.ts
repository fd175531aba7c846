import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  GROUP_BYTES_MAX,
  GROUP_WRITES_MAX,
  GroupCommit,
  QUEUE_WRITES_HIGH,
  QUEUE_WRITES_MAX,
} from '../../../../coordinator/store/group-commit.js'
import type { Write } from '../../../../coordinator/store/store.js'
import { GridError } from '../../../../runtime/errors.js'
import { rejects } from '../../../support/rejects.js'

/** A store that commits when told to, and a trigger that fires when told to. */
function bench() {
  const groups: (readonly Write[])[] = []
  const settle: { resolve: () => void; reject: (error: unknown) => void }[] = []
  const turns: (() => void)[] = []
  const store = {
    commit(writes: readonly Write[]) {
      groups.push(writes)
      return new Promise<void>((resolve, reject) => settle.push({ resolve, reject }))
    },
  }
  const turn = async () => {
    await new Promise((resolve) => setImmediate(resolve))
    for (const run of turns.splice(0)) run()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    commits: new GroupCommit(store, (run) => turns.push(run)),
    groups,
    turn,
    async finish(error?: unknown) {
      const next = settle.shift()!
      if (error) next.reject(error)
      else next.resolve()
      await turn()
    },
  }
}

const meta = (name: string, length = 1): Write => ({ type: 'meta', name, value: new Uint8Array(length) })
const names = (group: readonly Write[] | undefined) =>
  group?.map((write) => (write.type === 'meta' ? write.name : write.type))
const test = suite('GroupCommit')

test('what comes before the trigger shares a group; what comes during a commit forms the next', async () => {
  const { commits, groups, turn, finish } = bench()
  const done: string[] = []
  const commit = (name: string) => void commits.commit([meta(name)]).then(() => done.push(name))
  commit('a')
  commit('b')
  assert.is(groups.length, 0)
  await turn()
  commit('c')
  await turn()
  commit('d')
  await turn()
  assert.equal(groups.map(names), [['a', 'b']])
  assert.equal(done, [])
  await finish()
  assert.equal(done, ['a', 'b'])
  assert.equal(names(groups[1]), ['c', 'd'])
  await finish()
  assert.equal(done, ['a', 'b', 'c', 'd'])
  assert.is(groups.length, 2)
})

test('a group has at most so many writes and bytes, but never splits the writes of one caller', async () => {
  const { commits, groups, turn, finish } = bench()
  const pair = [meta('x'), meta('y')]
  for (let i = 0; i < GROUP_WRITES_MAX / 2 + 1; i++) void commits.commit(pair)
  void commits.commit([meta('large', GROUP_BYTES_MAX)])
  void commits.commit(Array.from({ length: GROUP_WRITES_MAX + 5 }, () => meta('many')))
  await turn()
  await finish()
  await finish()
  await finish()
  await finish()
  assert.equal(
    groups.map(({ length }) => length),
    [GROUP_WRITES_MAX, 2, 1, GROUP_WRITES_MAX + 5],
  )
})

test('a failed group is refused to all its callers, and the next one goes on', async () => {
  const { commits, turn, finish } = bench()
  const first = rejects(commits.commit([meta('a')]), 'unavailable')
  const second = rejects(commits.commit([meta('b')]), 'unavailable')
  await turn()
  const third = commits.commit([meta('c')])
  await finish(new GridError('unavailable', 'the disk is full'))
  await first
  await second
  await finish()
  await third
})

test('callers are asked to hold back while too much waits, told when it is over, and refused when they do not listen', async () => {
  const { commits, groups, turn, finish } = bench()
  const many = Array.from({ length: GROUP_WRITES_MAX }, () => meta('m'))
  const waiting = [commits.commit(many)]
  await turn()
  assert.not(commits.congested)
  await commits.drained()
  for (let i = 0; i < QUEUE_WRITES_HIGH / GROUP_WRITES_MAX + 1; i++) waiting.push(commits.commit(many))
  assert.ok(commits.congested)
  let drained = false
  void commits.drained().then(() => {
    drained = true
  })
  await finish()
  assert.not(commits.congested)
  await turn()
  assert.ok(drained)
  for (let queued = QUEUE_WRITES_HIGH; queued <= QUEUE_WRITES_MAX; queued += many.length)
    waiting.push(commits.commit(many))
  await rejects(commits.commit([meta('one too many')]), 'unavailable')
  while (commits.congested) await finish()
  waiting.push(commits.commit([meta('welcome again')]))
  for (let left = waiting.length - groups.length; left >= 0; left--) await finish()
  await Promise.all(waiting)
})

test('a disk that cannot be written is told of once, and once that it can be again', async () => {
  const said: string[] = []
  let failure: Error | undefined = new Error('full')
  const store = {
    commit: async () => {
      if (failure !== undefined) throw failure
    },
  }
  const commits = new GroupCommit(
    store,
    (run) => run(),
    (reason) => said.push(reason === undefined ? 'again' : (reason as Error).message),
  )
  const commit = () => commits.commit([meta('m')]).catch(() => {})
  for (let i = 0; i < 3; i++) await commit()
  failure = undefined
  for (let i = 0; i < 3; i++) await commit()
  assert.equal(said, ['full', 'again'])
})

test('a store that was closed is no disk that fails', async () => {
  const said: unknown[] = []
  const commit = () => Promise.reject(new GridError('closed', 'the store is closed'))
  const commits = new GroupCommit(
    { commit },
    (run) => run(),
    (reason) => said.push(reason),
  )
  await rejects(commits.commit([meta('m')]), 'closed')
  assert.equal(said, [])
})

test('a commit of nothing needs no group', async () => {
  const { commits, groups, turn } = bench()
  await commits.commit([])
  await turn()
  assert.is(groups.length, 0)
})

test.run()
