import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Disk, nodeDisk } from '../../../runtime/disk.js'
import { World } from '../../simulation/world/world.js'
import { rejects } from '../../support/rejects.js'

const bytes = (...values: number[]) => Uint8Array.from(values)

/** What every disk promises; `body` gets one that is empty. */
function conformance(name: string, withDisk: (body: (disk: Disk) => Promise<void>) => Promise<void>): void {
  const test = suite(`Disk: ${name}`)

  test('appends add up, and a file that was never written is undefined', () =>
    withDisk(async (disk) => {
      assert.is(await disk.read('log/1'), undefined)
      await disk.append('log/1', bytes(1, 2))
      await disk.append('log/1', bytes(3))
      await disk.sync('log/1')
      assert.equal(await disk.read('log/1'), bytes(1, 2, 3))
    }))

  test('a write replaces the whole file, also an empty one', () =>
    withDisk(async (disk) => {
      await disk.append('state', bytes(1, 2, 3))
      await disk.write('state', bytes(9))
      await disk.append('state', bytes(8))
      assert.equal(await disk.read('state'), bytes(9, 8))
      await disk.write('state', bytes())
      assert.equal(await disk.read('state'), bytes())
    }))

  test('list gives the names with a prefix, sorted; remove takes them away, missing or not', () =>
    withDisk(async (disk) => {
      assert.equal(await disk.list(''), [])
      for (const file of ['b/2', 'b/10', 'a', 'bc']) await disk.write(file, bytes(1))
      assert.equal(await disk.list('b'), ['b/10', 'b/2', 'bc'])
      assert.equal(await disk.list('b/'), ['b/10', 'b/2'])
      await disk.remove('b/2')
      await disk.remove('b/2')
      assert.equal(await disk.list(''), ['a', 'b/10', 'bc'])
    }))

  test('names that leave the folder or hide are refused', () =>
    withDisk(async (disk) => {
      for (const file of ['', '..', '../x', 'a/../b', '/etc/passwd', 'a//b', '.hidden', 'a\\b', 'x.draft', 'a/', 'ü']) {
        await rejects(disk.read(file), 'invalid')
        await rejects(disk.write(file, bytes(1)), 'invalid')
        await rejects(disk.append(file, bytes(1)), 'invalid')
      }
    }))

  test('to sync what does not exist is a failure of the disk', () =>
    withDisk(async (disk) => {
      await rejects(disk.sync('nothing'), 'unavailable')
    }))

  test.run()
}

conformance('folder', async (body) => {
  const folder = await mkdtemp(join(tmpdir(), 'manyhands-disk-'))
  try {
    await body(nodeDisk(join(folder, 'made', 'when-needed')))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

conformance('simulated', async (body) => {
  const world = new World(1)
  let done = false
  world.addHost('a').start(async ({ disk }) => {
    await body(disk)
    done = true
  })
  await world.run(() => done)
})

const folder = suite('nodeDisk')

folder('a draft left by a crash is not listed', async () => {
  const path = await mkdtemp(join(tmpdir(), 'manyhands-disk-'))
  try {
    await writeFile(join(path, 'state.draft'), 'half')
    const disk = nodeDisk(path)
    assert.equal(await disk.list(''), [])
    await disk.write('state', bytes(1))
    assert.equal(await disk.list(''), ['state'])
  } finally {
    await rm(path, { recursive: true, force: true })
  }
})

folder('two that write a file at the same time both succeed, and leave one of the two and no draft', async () => {
  const path = await mkdtemp(join(tmpdir(), 'manyhands-disk-'))
  try {
    const [one, other] = [nodeDisk(path), nodeDisk(path)]
    for (let round = 0; round < 5; round++)
      await Promise.all([one.write('shared', Uint8Array.of(1)), other.write('shared', Uint8Array.of(2))])
    assert.ok([1, 2].includes((await one.read('shared'))![0]!))
    assert.equal(await readdir(path), ['shared'])
  } finally {
    await rm(path, { recursive: true })
  }
})

folder.run()

const crash = suite('SimDisk')

/** Runs `work` on a host, then crashes it; gives the host and its world. */
async function crashed(seed: number, work: (disk: Disk) => Promise<void>, kind: 'killed' | 'powerLoss' | 'diskLoss') {
  const world = new World(seed)
  const host = world.addHost('a')
  let done = false
  host.start(async ({ disk }) => {
    await work(disk)
    done = true
  })
  await world.run(() => done)
  host.crash(kind)
  return { world, host }
}

const TEN = Array.from({ length: 10 }, (_, index) => bytes(index + 1, index + 1, index + 1, index + 1))

crash(
  'a power loss keeps what was synced and a first part of the rest, perhaps torn or zeroed at its end',
  async () => {
    const seen = { lost: 0, torn: 0, whole: 0, zeroed: 0 }
    for (let seed = 0; seed < 200; seed++) {
      const { host } = await crashed(
        seed,
        async (disk) => {
          for (const [index, entry] of TEN.entries()) {
            await disk.append('log', entry)
            if (index === 3) await disk.sync('log')
          }
        },
        'powerLoss',
      )
      const left = host.disk.contents('log')!
      assert.ok(left.length >= 16, 'synced bytes are there')
      const expected = Uint8Array.from(TEN.flatMap((entry) => [...entry])).subarray(0, left.length)
      const wrongAt = left.findIndex((byte, index) => byte !== expected[index])
      if (wrongAt >= 0) {
        assert.ok(wrongAt >= 16 && left.subarray(wrongAt).every((byte) => byte === 0) && left.length - wrongAt <= 4)
        seen.zeroed++
      } else if (left.length === 16) seen.lost++
      else if (left.length === 40) seen.whole++
      else if (left.length % 4 !== 0) seen.torn++
    }
    for (const [fate, count] of Object.entries(seen)) assert.ok(count > 0, `${fate}: ${JSON.stringify(seen)}`)
  },
)

crash('a killed process loses nothing that was appended', async () => {
  const { host, world } = await crashed(1, (disk) => disk.append('log', bytes(1, 2, 3)), 'killed')
  assert.equal(host.disk.contents('log'), bytes(1, 2, 3))
  assert.is(world.diskCounters.lostWrites, 0)
})

crash('a lost disk is empty and its host has another key', async () => {
  const keys = new Set<string>()
  const { host } = await crashed(1, (disk) => disk.write('key', bytes(1)), 'diskLoss')
  keys.add(host.caller.nodeId)
  const { host: kept } = await crashed(1, (disk) => disk.write('key', bytes(1)), 'powerLoss')
  keys.add(kept.caller.nodeId)
  assert.is(host.disk.contents('key'), undefined)
  assert.equal(kept.disk.contents('key'), bytes(1))
  assert.is(keys.size, 2)
})

crash('a replacement that a crash interrupts leaves the old bytes or the new ones', async () => {
  const left = new Set<string>()
  for (let seed = 0; seed < 30; seed++) {
    const { host, world } = await crashed(
      seed,
      async (disk) => {
        await disk.write('state', bytes(1, 1, 1))
        void disk.write('state', bytes(2, 2))
      },
      'powerLoss',
    )
    left.add(String(host.disk.contents('state')))
    assert.is(world.diskCounters.interruptedWrites, 1)
  }
  assert.equal([...left].sort(), ['1,1,1', '2,2'])
})

crash('nothing resolves for a process that died, and a restart finds what was kept', async () => {
  const world = new World(1)
  const host = world.addHost('a')
  const seen: string[] = []
  host.start(async ({ disk, boot }) => {
    if (boot === 2) {
      seen.push(`found ${await disk.read('state')}`)
      return
    }
    await disk.write('state', bytes(7))
    host.crash('powerLoss')
    await disk.append('state', bytes(8))
    seen.push('appended after death')
  })
  await world.run(100)
  host.restart()
  await world.run(200)
  assert.equal(seen, ['found 7'])
})

crash('a full disk refuses and keeps what it has; a slow one takes its time', async () => {
  const world = new World(1)
  const host = world.addHost('a')
  const times: number[] = []
  host.start(async ({ disk, clock }) => {
    await disk.append('log', bytes(1, 2, 3))
    host.disk.capacityBytes = 5
    await rejects(disk.append('log', bytes(4, 5, 6)), 'unavailable')
    host.disk.capacityBytes = 1_000
    host.disk.full = true
    await rejects(disk.write('state', bytes(1)), 'unavailable')
    host.disk.full = false
    assert.equal(await disk.read('log'), bytes(1, 2, 3))
    for (const slowness of [1, 100]) {
      host.disk.slowness = slowness
      const startMs = clock.now()
      await disk.sync('log')
      times.push(clock.now() - startMs)
    }
  })
  await world.run(10_000)
  assert.is(times.length, 2)
  assert.ok(times[0]! < 20 && times[1]! > 100, times.join(' '))
  assert.is(world.diskCounters.refusedWrites, 2)
})

crash.run()
