import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Random } from '../../../../runtime/random.js'
import { WASI_PARAMETERS } from '../../../../sandbox/admission/index.js'
import { FixedBytes } from '../../../../sandbox/wasi/byte-store.js'
import { ERRNO } from '../../../../sandbox/wasi/errno.js'
import { Stop } from '../../../../sandbox/wasi/stop.js'
import { seededRandom } from '../../../support/seeded-random.js'
import { CREATE, Guest, MEMORY_BYTES, STDERR, TMP } from './fixture.js'

const host = suite('WasiHost')

/** Numbers that a hostile program would try. */
const EDGES = [
  0,
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  8,
  24,
  255,
  256,
  4_096,
  65_535,
  65_536,
  MEMORY_BYTES - 8,
  MEMORY_BYTES,
  -1,
  -8,
  2 ** 31 - 1,
  -(2 ** 31),
]
const WIDE_EDGES = [
  0n,
  1n,
  100n,
  65_536n,
  2n ** 30n - 1n,
  2n ** 32n,
  2n ** 40n,
  2n ** 52n,
  2n ** 53n,
  2n ** 62n,
  -1n,
  -(2n ** 63n),
]
const PATHS = [
  'a',
  'b',
  'a/b',
  '.',
  '..',
  'in',
  'in/x',
  'out',
  'out/a',
  'tmp',
  'tmp/a',
  'tmp/b/c',
  '/',
  'a/../..',
  'ä',
  '',
  'nul',
]
/** Where the fuzzer keeps paths, one in each slot, so that many random calls name files. */
const SLOT_BYTES = 32

function argument(random: Random, kind: string): number | bigint {
  if (kind === 'I') return WIDE_EDGES[random.int(WIDE_EDGES.length)]!
  const choice = random.int(6)
  if (choice > 3) return random.int(10)
  if (choice === 0) return EDGES[random.int(EDGES.length)]!
  if (choice === 1) return random.int(16)
  if (choice === 2) return SLOT_BYTES * random.int(PATHS.length)
  return random.int(2 ** 32) | 0
}

/** A path call gets a path most of the time: pointer of a slot and the length of what is there. */
function argumentsOf(random: Random, name: string, kinds: string): (number | bigint)[] {
  const args = [...kinds].map((kind) => argument(random, kind))
  if (!name.startsWith('path_') || random.int(4) === 0) return args
  const at = {
    path_open: [2],
    path_filestat_get: [2],
    path_filestat_set_times: [2],
    path_link: [2, 5],
    path_rename: [1, 4],
    path_symlink: [0, 3],
  }[name] ?? [1]
  for (const index of at) {
    const slot = random.int(PATHS.length)
    args[index] = slot * SLOT_BYTES
    args[index + 1] = new TextEncoder().encode(PATHS[slot]).length
  }
  const fds = { path_symlink: [2], path_rename: [0, 3], path_link: [0, 4] }[name] ?? [0]
  for (const index of fds) args[index] = 3 + random.int(6)
  return args
}

function placePaths(guest: Guest): void {
  for (const [slot, path] of PATHS.entries()) guest.bytes.set(new TextEncoder().encode(path), slot * SLOT_BYTES)
}

host('answers every function that admission lets a program import, and no other', () => {
  const { imports } = new Guest().host
  assert.equal(Object.keys(imports).sort(), [...WASI_PARAMETERS.keys()].sort())
  assert.is(WASI_PARAMETERS.size, 46)
})

host('gives error numbers and nothing else for any arguments', () => {
  const calls = [...WASI_PARAMETERS]
  const errnos = new Set<number>(Object.values(ERRNO))
  const succeeded = new Set<string>()
  for (let round = 0; round < 40; round++) {
    const random = seededRandom(round)
    const guest = new Guest({
      files: new Map([['x', new FixedBytes(new Uint8Array(100))]]),
      outputBytes: 20_000,
      stdin: new Uint8Array(9),
    })
    for (const path of ['a', 'b', 'c']) guest.open(TMP, path, CREATE)
    for (let i = 0; i < 1_500; i++) {
      if (i % 50 === 0) {
        guest.bytes.set(random.bytes(512), 0x1000 + random.int(0x8000))
        placePaths(guest)
      }
      const [name, kinds] = calls[random.int(calls.length)]!
      const args = argumentsOf(random, name, kinds)
      try {
        const errno = guest.call(name, ...args)
        assert.ok(errnos.has(errno), `${name} gave ${errno}`)
        if (errno === ERRNO.success) succeeded.add(name)
      } catch (error) {
        if (!(error instanceof Stop)) throw new Error(`round ${round}: ${name}(${args.join(', ')})`, { cause: error })
      }
    }
    assert.ok(JSON.stringify(guest.left()).length < 200_000)
  }
  const neverSucceed = ['proc_exit', 'proc_raise', 'sock_accept', 'sock_recv', 'sock_send', 'sock_shutdown']
  for (const [name] of calls)
    if (!neverSucceed.includes(name)) assert.ok(succeeded.has(name), `${name} never succeeded: the fuzzer is too blind`)
})

host('answers a recorded series of calls alike each time', () => {
  const record = () => {
    const random = seededRandom(4_711)
    const guest = new Guest({ files: new Map([['x', new FixedBytes(new Uint8Array(100))]]) })
    const answers: (number | string)[] = []
    for (let i = 0; i < 2_000; i++) {
      placePaths(guest)
      const [name, kinds] = [...WASI_PARAMETERS][random.int(46)]!
      try {
        answers.push(guest.call(name, ...argumentsOf(random, name, kinds)))
      } catch (error) {
        answers.push(error instanceof Stop ? error.reason.type : String(error))
      }
    }
    return { answers, fuel: guest.fuel, left: guest.left(), memory: Buffer.from(guest.bytes).toString('base64') }
  }
  assert.equal(record(), record())
})

host('sees memory that the program has grown since', () => {
  const guest = new Guest()
  assert.is(guest.call('random_get', MEMORY_BYTES, 8), ERRNO.fault)
  guest.memory.grow(1)
  assert.is(guest.call('random_get', MEMORY_BYTES, 8), ERRNO.success)
  assert.ok(new Uint8Array(guest.memory.buffer, MEMORY_BYTES, 8).some((byte) => byte !== 0))
})

host('refuses pointers that reach past the end of memory, and takes those that reach it', () => {
  const guest = new Guest()
  for (const [name, ...args] of [
    ['clock_time_get', 0, 0n],
    ['args_sizes_get', 0],
    ['fd_filestat_get', 3],
    ['fd_fdstat_get', 3],
    ['fd_prestat_get', 3],
    ['fd_tell', guest.open(6, 'f', 1)],
  ] as [string, ...(number | bigint)[]][]) {
    const size = {
      clock_time_get: 8,
      args_sizes_get: 4,
      fd_filestat_get: 64,
      fd_fdstat_get: 24,
      fd_prestat_get: 8,
      fd_tell: 8,
    }[name]!
    assert.is(guest.call(name, ...args, MEMORY_BYTES - size), ERRNO.success, name)
    assert.is(guest.call(name, ...args, MEMORY_BYTES - size + 1), ERRNO.fault, name)
    assert.is(guest.call(name, ...args, -1), ERRNO.fault, name)
  }
})

host('hands over arguments and environment as UTF-8 ended by NUL', () => {
  const guest = new Guest({ args: ['prog', '', 'grün'], environment: new Map([['K', 'v=w']]) })
  assert.is(guest.call('args_sizes_get', 0, 4), ERRNO.success)
  assert.equal([guest.view.getUint32(0, true), guest.view.getUint32(4, true)], [3, 12])
  assert.is(guest.call('args_get', 0, 100), ERRNO.success)
  assert.equal(
    [0, 4, 8].map((at) => guest.view.getUint32(at, true)),
    [100, 105, 106],
  )
  assert.is(new TextDecoder().decode(guest.bytes.slice(100, 112)), 'prog\0\0grün\0')
  assert.is(guest.call('environ_get', 0, 100), ERRNO.success)
  assert.is(new TextDecoder().decode(guest.bytes.slice(100, 106)), 'K=v=w\0')
  assert.is(guest.call('args_get', 0, MEMORY_BYTES - 11), ERRNO.fault)
})

host('takes a write of overlapping pieces as the pieces are', () => {
  const guest = new Guest({ stderrBytes: 100 })
  guest.bytes.set(new TextEncoder().encode('abc'), 64)
  for (const [i, [at, length]] of [
    [64, 3],
    [65, 2],
    [64, 0],
    [64, 1],
  ].entries()) {
    guest.view.setUint32(8 * i, at!, true)
    guest.view.setUint32(8 * i + 4, length!, true)
  }
  assert.is(guest.answer('fd_write', STDERR, 0, 4), 6)
  assert.is(guest.left().stderr, 'abcbca')
})

host('ends the program with the code it gives, as a signed number', () => {
  const guest = new Guest()
  for (const code of [0, 3, 255, -1]) {
    try {
      guest.call('proc_exit', code)
      assert.unreachable()
    } catch (error) {
      assert.ok(error instanceof Stop)
      assert.equal(error.reason, { type: 'exit', exitCode: code })
    }
  }
})

host.run()
