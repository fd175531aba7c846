import { createHash } from 'node:crypto'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Store, Write } from '../../../coordinator/store/store.js'
import type { Digest, JobId, PublicKey, Signed } from '../../../proto/model.js'
import type { UnitBytes } from '../../../proto/work-messages.js'
import { rejects } from '../rejects.js'

/** A store that can be stopped and started again on the same bytes. */
export interface StoreUnderTest {
  open(): Promise<Store>
  /** Removes what the store left. */
  remove(): Promise<void>
}

const hash = (text: string) => createHash('sha256').update(text).digest('hex')

export const jobIdOf = (name: string) => hash(`job ${name}`) as JobId
export const digestOf = (name: string) => hash(`digest ${name}`) as Digest
export const bytesOf = (text: string, length = 20) => new Uint8Array(Buffer.alloc(length, hash(text)))
const signedOf = (name: string): Signed => ({ bytes: bytesOf(name, 300), signature: bytesOf(`signature ${name}`, 64) })

export const specWrite = (jobId: JobId, role: 'home' | 'shard' = 'shard', receivedAtMs = 1_700_000_000_000): Write => ({
  type: 'spec',
  jobId,
  role,
  spec: signedOf(jobId),
  receivedAtMs,
})
export const shardWrite = (jobId: JobId, shard = 0): Write => ({
  type: 'shard',
  jobId,
  shard,
  activatedAtMs: 1_700_000_000_001,
})
export const factWrite = (jobId: JobId, name: string, outputs: readonly UnitBytes[] = [], shard = 0): Write => ({
  type: 'fact',
  jobId,
  shard,
  factId: digestOf(name),
  fact: bytesOf(`fact ${name}`, 500),
  outputs,
})
export const outputOf = (unit: number, text: string, length = 20): UnitBytes => ({ unit, bytes: bytesOf(text, length) })

/** What every version of `Store` promises, as one uvu suite; the caller runs it. */
export function storeConformance(name: string, make: () => Promise<StoreUnderTest>): void {
  const test = suite<{ under: StoreUnderTest; store: Store }>(name)
  const job = jobIdOf('a')
  const other = jobIdOf('b')
  const plain = (map: ReadonlyMap<number, Uint8Array>) =>
    [...map].map(([unit, bytes]) => [unit, Buffer.from(bytes).toString()])
  const factIds = async (store: Store, jobId: JobId, shard = 0) =>
    (await store.facts(jobId, shard, 0, 1_000)).map(({ factId }) => factId)

  test.before.each(async (context) => {
    context.under = await make()
    context.store = await context.under.open()
  })
  test.after.each(async ({ store, under }) => {
    await store.close()
    await under.remove()
  })

  /** The store as it is, and again after a restart. */
  async function* lives(context: { under: StoreUnderTest; store: Store }): AsyncGenerator<Store> {
    yield context.store
    await context.store.close()
    context.store = await context.under.open()
    yield context.store
  }

  test('an empty store has nothing', async ({ store }) => {
    assert.equal(await store.jobs(), [])
    assert.equal(await store.shards(job), [])
    assert.equal(await store.facts(job, 0, 0, 10), [])
    assert.is((await store.outputs(job, 0, [{ unit: 1, factId: digestOf('x') }])).size, 0)
    assert.equal(await store.largeOutputs(job, 0), [])
    assert.is((await store.keysSeen()).size, 0)
    assert.is(await store.meta('m'), undefined)
    await store.commit([])
  })

  test('a job keeps its spec, its first time of arrival, all its roles and its orders by seq, over a restart', async (context) => {
    await context.store.commit([specWrite(job, 'shard', 5), specWrite(job, 'home', 9)])
    const order = (seq: number, by: string): Write => ({ type: 'order', jobId: job, order: signedOf(by), seq })
    await context.store.commit([order(7, 'late'), order(2, 'early'), order(7, 'late')])
    for await (const store of lives(context)) {
      const [stored, ...rest] = await store.jobs()
      assert.equal(rest, [])
      assert.is(stored!.jobId, job)
      assert.equal([...stored!.roles].sort(), ['home', 'shard'])
      assert.is(stored!.receivedAtMs, 5)
      assert.ok(Buffer.from(signedOf(job).bytes).equals(stored!.spec.bytes))
      assert.ok(Buffer.from(signedOf(job).signature).equals(stored!.spec.signature))
      assert.equal(
        stored!.orders.map(({ seq }) => seq),
        [2, 7],
      )
      assert.ok(Buffer.from(signedOf('early').bytes).equals(stored!.orders[0]!.order.bytes))
    }
  })

  test('a role that is dropped is gone, over a restart, and may come back; the job stays with all it had, also without any', async (context) => {
    const order: Write = { type: 'order', jobId: job, order: signedOf('x'), seq: 1 }
    const dropRole = (role: 'home' | 'shard'): Write => ({ type: 'dropRole', jobId: job, role })
    await context.store.commit([specWrite(job, 'home', 5), specWrite(job, 'shard'), order, shardWrite(job)])
    await context.store.commit([specWrite(other, 'home'), factWrite(job, 'one')])
    const left = async (store: Store) => {
      const stored = (await store.jobs()).find(({ jobId }) => jobId === job)!
      assert.is(stored.orders.length, 1)
      assert.is(stored.receivedAtMs, 5)
      assert.equal(await factIds(store, job), [digestOf('one')])
      return [...stored.roles]
    }
    await context.store.commit([dropRole('home'), { type: 'dropRole', jobId: jobIdOf('nobody'), role: 'home' }])
    for await (const store of lives(context)) assert.equal(await left(store), ['shard'])
    await context.store.commit([dropRole('shard'), dropRole('home')])
    for await (const store of lives(context)) assert.equal(await left(store), [])
    await context.store.commit([specWrite(job, 'home', 9)])
    for await (const store of lives(context)) {
      assert.equal(await left(store), ['home'])
      assert.equal([...(await store.jobs()).find(({ jobId }) => jobId === other)!.roles], ['home'])
    }
  })

  test('an order that is dropped is gone, over a restart, and others with its seq are not', async (context) => {
    const order = (by: string) => ({ jobId: job, order: signedOf(by), seq: 3 })
    await context.store.commit([specWrite(job), { type: 'order', ...order('x') }, { type: 'order', ...order('y') }])
    await context.store.commit([{ type: 'dropOrder', ...order('x') }])
    for await (const store of lives(context)) {
      const [stored] = await store.jobs()
      assert.is(stored!.orders.length, 1)
      assert.ok(Buffer.from(signedOf('y').bytes).equals(stored!.orders[0]!.order.bytes))
    }
  })

  test('two different orders with one seq are both kept', async ({ store }) => {
    await store.commit([specWrite(job), { type: 'order', jobId: job, order: signedOf('x'), seq: 1 }])
    await store.commit([{ type: 'order', jobId: job, order: signedOf('y'), seq: 1 }])
    assert.is((await store.jobs())[0]!.orders.length, 2)
  })

  test('shards come back ascending, with the first time of activation', async (context) => {
    await context.store.commit([specWrite(job), shardWrite(job, 300), shardWrite(job, 2)])
    await context.store.commit([{ type: 'shard', jobId: job, shard: 2, activatedAtMs: 1 }])
    for await (const store of lives(context)) {
      assert.equal(await store.shards(job), [
        { shard: 2, activatedAtMs: 1_700_000_000_001 },
        { shard: 300, activatedAtMs: 1_700_000_000_001 },
      ])
    }
  })

  test('facts are found by their ids, and all ids of a shard are listed', async (context) => {
    await context.store.commit([specWrite(job), shardWrite(job, 0), shardWrite(job, 1)])
    await context.store.commit([factWrite(job, 'a'), factWrite(job, 'b'), factWrite(job, 'c', [], 1)])
    for await (const store of lives(context)) {
      const ids = [digestOf('b'), digestOf('c'), digestOf('nobody')]
      const found = await store.factsById(job, 0, ids)
      assert.equal(
        found.map(({ factId }) => factId),
        [digestOf('b')],
      )
      assert.ok(Buffer.from(bytesOf('fact b', 500)).equals(found[0]!.fact))
      assert.equal((await store.factIds(job, 0)).toSorted(), [digestOf('a'), digestOf('b')].toSorted())
      assert.equal(await store.factIds(job, 7), [])
    }
  })

  test('a dropped shard is gone with its facts and outputs, and may come back empty', async (context) => {
    await context.store.commit([specWrite(job), shardWrite(job, 0), shardWrite(job, 1)])
    await context.store.commit([factWrite(job, 'a', [{ unit: 1, bytes: bytesOf('o', 9) }]), factWrite(job, 'b', [], 1)])
    await context.store.commit([{ type: 'output', jobId: job, shard: 0, unit: 9, digest: digestOf('large'), size: 3 }])
    await context.store.commit([{ type: 'dropShard', jobId: job, shard: 0 }, factWrite(job, 'late')])
    for await (const store of lives(context)) {
      assert.equal(
        (await store.shards(job)).map(({ shard }) => shard),
        [1],
      )
      assert.equal(await store.factIds(job, 0), [])
      assert.equal(await store.factIds(job, 1), [digestOf('b')])
    }
    await context.store.commit([shardWrite(job, 0), factWrite(job, 'again')])
    assert.equal(await context.store.factIds(job, 0), [digestOf('again')])
    assert.equal(await context.store.largeOutputs(job, 0), [])
  })

  test('facts come back in commit order, page by page, each once, and apart by shard', async (context) => {
    const names = Array.from({ length: 25 }, (_, i) => `fact ${i}`)
    await context.store.commit([specWrite(job), shardWrite(job, 0), shardWrite(job, 1)])
    for (const name of names) await context.store.commit([factWrite(job, name), factWrite(job, `other ${name}`, [], 1)])
    await context.store.commit([factWrite(job, names[3]!)])
    for await (const store of lives(context)) {
      const seen: string[] = []
      let after = 0
      for (;;) {
        const page = await store.facts(job, 0, after, 7)
        if (page.length === 0) break
        assert.ok(page.length <= 7)
        for (const { row, factId, fact } of page) {
          assert.ok(row > after)
          after = row
          const name = names.find((known) => digestOf(known) === factId)!
          assert.ok(Buffer.from(bytesOf(`fact ${name}`, 500)).equals(fact))
          seen.push(name)
        }
      }
      assert.equal(seen, names)
      assert.is((await factIds(store, job, 1)).length, 25)
    }
    await context.store.commit([factWrite(job, 'after the restart')])
    assert.is((await factIds(context.store, job)).at(-1), digestOf('after the restart'))
  })

  test('outputs are read back by fact and unit, also when facts disagree', async (context) => {
    await context.store.commit([specWrite(job), shardWrite(job)])
    await context.store.commit([
      factWrite(job, 'one', [outputOf(1, 'a'), outputOf(4_000_000_000, 'b', 4096), outputOf(3, 'empty', 0)]),
      factWrite(job, 'two', [outputOf(1, 'c')]),
    ])
    const wanted = [
      { unit: 1, factId: digestOf('two') },
      { unit: 3, factId: digestOf('one') },
      { unit: 4_000_000_000, factId: digestOf('one') },
      { unit: 5, factId: digestOf('one') },
      { unit: 6, factId: digestOf('nobody') },
    ]
    for await (const store of lives(context)) {
      const found = await store.outputs(job, 0, wanted)
      assert.equal([...found.keys()].sort(), [1, 3, 4_000_000_000])
      assert.ok(Buffer.from(bytesOf('c')).equals(found.get(1)!))
      assert.is(found.get(3)!.length, 0)
      assert.is(found.get(4_000_000_000)!.length, 4096)
      assert.is((await store.outputs(job, 1, wanted)).size, 0)
      assert.is((await store.outputs(other, 0, wanted)).size, 0)
    }
  })

  test('outputs that come later are added to their fact; what is there stays', async (context) => {
    const later: Write = {
      type: 'smallOutputs',
      jobId: job,
      shard: 0,
      factId: digestOf('one'),
      outputs: [outputOf(1, 'changed'), outputOf(2, 'second')],
    }
    await context.store.commit([
      specWrite(job),
      shardWrite(job),
      factWrite(job, 'one', [outputOf(1, 'first')]),
      later,
      later,
    ])
    await context.store.commit([factWrite(job, 'one', [outputOf(2, 'changed'), outputOf(3, 'third')])])
    const wanted = [1, 2, 3].map((unit) => ({ unit, factId: digestOf('one') }))
    for await (const store of lives(context)) {
      const found = new Map([...(await store.outputs(job, 0, wanted))].sort(([a], [b]) => a - b))
      const expected = new Map([
        [1, bytesOf('first')],
        [2, bytesOf('second')],
        [3, bytesOf('third')],
      ])
      assert.equal(plain(found), plain(expected))
    }
  })

  test('dropped facts are gone with the outputs that came with them, and may come again', async (context) => {
    await context.store.commit([
      specWrite(job),
      shardWrite(job),
      factWrite(job, 'one', [outputOf(1, 'a')]),
      factWrite(job, 'two', [outputOf(2, 'b')]),
      factWrite(job, 'three', [outputOf(3, 'c')]),
    ])
    const factIds = ['one', 'three', 'nobody'].map(digestOf)
    await context.store.commit([{ type: 'dropFacts', jobId: job, shard: 0, factIds }])
    for await (const store of lives(context)) {
      assert.equal(await store.factIds(job, 0), [digestOf('two')])
      assert.equal(
        (await store.facts(job, 0, 0, 10)).map(({ factId }) => factId),
        [digestOf('two')],
      )
      const wanted = ['one', 'two', 'three'].map((name, i) => ({ unit: i + 1, factId: digestOf(name) }))
      assert.equal([...(await store.outputs(job, 0, wanted)).keys()], [2])
      await store.commit([factWrite(job, 'three', [])])
      assert.is((await store.facts(job, 0, 0, 10)).length, 2)
      assert.is((await store.outputs(job, 0, wanted)).size, 1)
      await store.commit([{ type: 'dropFacts', jobId: job, shard: 0, factIds }])
    }
  })

  test('dropped outputs are gone, facts stay, and outputs that come later are kept', async (context) => {
    const large: Write = { type: 'output', jobId: job, shard: 0, unit: 9, digest: digestOf('large'), size: 2 ** 26 }
    await context.store.commit([
      specWrite(job),
      shardWrite(job),
      factWrite(job, 'one', [outputOf(1, 'a')]),
      large,
      large,
    ])
    assert.equal(await context.store.largeOutputs(job, 0), [{ unit: 9, digest: digestOf('large'), size: 2 ** 26 }])
    await context.store.commit([{ type: 'dropOutputs', jobId: job, shard: 0 }])
    await context.store.commit([factWrite(job, 'two', [outputOf(2, 'b')])])
    for await (const store of lives(context)) {
      const wanted = [
        { unit: 1, factId: digestOf('one') },
        { unit: 2, factId: digestOf('two') },
      ]
      assert.equal([...(await store.outputs(job, 0, wanted)).keys()], [2])
      assert.equal(await store.largeOutputs(job, 0), [])
      assert.is((await factIds(store, job)).length, 2)
    }
  })

  test('a dropped job is gone with all it had; a late report does not bring it back, a new submission starts afresh', async (context) => {
    const all = [specWrite(job), shardWrite(job), factWrite(job, 'one', [outputOf(1, 'a')])]
    await context.store.commit([
      ...all,
      specWrite(other),
      shardWrite(other),
      factWrite(other, 'kept', [outputOf(1, 'kept')]),
    ])
    await context.store.commit([{ type: 'dropJob', jobId: job }])
    await context.store.commit([factWrite(job, 'late', [outputOf(1, 'z')]), shardWrite(job), specWrite(jobIdOf('c'))])
    for await (const store of lives(context)) {
      assert.equal((await store.jobs()).map(({ jobId }) => jobId).sort(), [other, jobIdOf('c')].sort())
      assert.equal(await store.shards(job), [])
      assert.equal(await factIds(store, job), [])
      assert.equal(await factIds(store, other), [digestOf('kept')])
    }
    await context.store.commit([specWrite(job), shardWrite(job), factWrite(job, 'new')])
    for await (const store of lives(context)) {
      assert.equal(await factIds(store, job), [digestOf('new')])
      assert.is((await store.outputs(job, 0, [{ unit: 1, factId: digestOf('one') }])).size, 0)
      assert.is((await store.outputs(other, 0, [{ unit: 1, factId: digestOf('kept') }])).size, 1)
    }
  })

  test('a key keeps the time it was first seen', async (context) => {
    const key = hash('key') as PublicKey
    await context.store.commit([{ type: 'keySeen', key, atMs: 50 }])
    await context.store.commit([
      { type: 'keySeen', key, atMs: 60 },
      { type: 'keySeen', key, atMs: 40 },
    ])
    for await (const store of lives(context)) assert.equal([...(await store.keysSeen())], [[key, 40]])
  })

  test('a named value is replaced as a whole', async (context) => {
    await context.store.commit([{ type: 'meta', name: 'm', value: bytesOf('old', 100) }])
    await context.store.commit([{ type: 'meta', name: 'm', value: bytesOf('new', 3) }])
    for await (const store of lives(context)) {
      assert.ok(Buffer.from(bytesOf('new', 3)).equals((await store.meta('m'))!))
    }
  })

  test('a named value is gone once it is replaced by an empty one', async (context) => {
    await context.store.commit([{ type: 'meta', name: 'm', value: bytesOf('old', 100) }])
    await context.store.commit([{ type: 'meta', name: 'm', value: new Uint8Array(0) }])
    for await (const store of lives(context)) assert.is(await store.meta('m'), undefined)
  })

  test('groups committed at once take effect in the order they were given', async (context) => {
    await Promise.all([
      context.store.commit([specWrite(job), shardWrite(job)]),
      context.store.commit([factWrite(job, 'one')]),
      context.store.commit([factWrite(job, 'two')]),
    ])
    assert.equal(await factIds(context.store, job), [digestOf('one'), digestOf('two')])
  })

  test('bytes in use grow with what is kept', async ({ store }) => {
    const before = await store.bytesUsed()
    await store.commit([
      specWrite(job),
      shardWrite(job),
      factWrite(job, 'big', [outputOf(1, 'x', 4096), outputOf(2, 'y', 4096)]),
    ])
    assert.ok((await store.bytesUsed()) - before >= 4096)
  })

  test('a closed store refuses, and closing twice is harmless', async ({ store }) => {
    await store.close()
    await store.close()
    await rejects(store.commit([specWrite(job)]), 'closed')
    await rejects(store.jobs(), 'closed')
  })

  test.run()
}
