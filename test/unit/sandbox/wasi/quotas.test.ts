import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ERRNO } from '../../../../sandbox/wasi/errno.js'
import {
  CALL_FUEL,
  DESCRIPTORS_MAX,
  LISTED_NAMES_MAX,
  NAME_FUEL,
  NODES_MAX,
  PIECE_FUEL,
  PIECES_FREE,
  PIECES_MAX,
} from '../../../../sandbox/wasi/limits.js'
import { Stop } from '../../../../sandbox/wasi/stop.js'
import { seededRandom } from '../../../support/seeded-random.js'
import {
  ANSWER,
  CREATE,
  DATA,
  DIRECTORY,
  Guest,
  OUT,
  READ_RIGHTS,
  ROOT,
  STDERR,
  STDOUT,
  TMP,
  TRUNCATE,
} from './fixture.js'

const quotas = suite('quotas of a program')

/** Bytes in use after a full collection of garbage. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}

function stopOf(body: () => void): unknown {
  try {
    body()
  } catch (error) {
    if (error instanceof Stop) return error.reason.type
    throw error
  }
  return undefined
}

quotas('end it when standard output and /out together pass the limit, having written nothing beyond', () => {
  const guest = new Guest({ outputBytes: 10 })
  guest.write(STDOUT, '12345')
  guest.create(OUT, 'f', '67890')
  assert.is(
    stopOf(() => guest.write(STDOUT, 'x')),
    'output',
  )
  assert.equal(guest.left(), { stdout: '12345', stderr: '', stderrLength: 0, files: { f: '67890' } })
})

quotas('give room back for what is deleted or cut', () => {
  const guest = new Guest({ outputBytes: 10 })
  for (let i = 0; i < 20; i++) {
    guest.create(OUT, 'f', '1234567890')
    assert.is(guest.path('path_unlink_file', OUT, 'f'), ERRNO.success)
  }
  for (let i = 0; i < 20; i++) guest.create(OUT, 'g', '1234567890')
  assert.is(
    stopOf(() => guest.write(STDOUT, 'x')),
    'output',
  )
})

quotas('count what a deleted file holds until it is closed', () => {
  const guest = new Guest({ outputBytes: 10 })
  guest.create(OUT, 'f', '1234567890')
  const fd = guest.open(OUT, 'f')
  guest.path('path_unlink_file', OUT, 'f')
  assert.is(
    stopOf(() => guest.create(OUT, 'g', 'x')),
    'output',
  )
  guest.call('fd_close', fd)
  guest.create(OUT, 'h', 'x')
})

quotas('count length and not what was written, so that holes are not free', () => {
  for (const extend of [
    (guest: Guest, fd: number) => guest.call('fd_filestat_set_size', fd, 2n ** 40n),
    (guest: Guest, fd: number) => guest.call('fd_allocate', fd, 0n, 2n ** 40n),
    (guest: Guest, fd: number) => guest.pwrite(fd, 'x', 2n ** 40n),
    (guest: Guest, fd: number) => {
      guest.call('fd_seek', fd, 2n ** 40n, 0, 0)
      return guest.write(fd, 'x')
    },
  ]) {
    const guest = new Guest()
    const inTmp = guest.open(TMP, 'f', CREATE)
    assert.is(extend(guest, inTmp), ERRNO.nospc)
    assert.is(guest.stat(TMP, 'f').size, 0n)
    const inOut = guest.open(OUT, 'f', CREATE)
    assert.is(
      stopOf(() => extend(guest, inOut)),
      'output',
    )
  }
  const guest = new Guest()
  const fd = guest.open(TMP, 'f', CREATE)
  assert.is(guest.call('fd_allocate', fd, 2n ** 63n, 1n), ERRNO.inval)
  assert.is(guest.call('fd_seek', fd, 2n ** 62n, 0, 0), ERRNO.inval)
  assert.is(guest.pwrite(fd, '', 2n ** 50n), ERRNO.success)
})

quotas('keep the first bytes of standard error and count the rest', () => {
  const guest = new Guest({ stderrBytes: 10 })
  for (let i = 0; i < 5; i++) assert.is(guest.write(STDERR, 'abcd'), ERRNO.success)
  assert.equal(guest.left(), { stdout: '', stderr: 'abcdabcdab', stderrLength: 20, files: {} })
})

quotas('refuse files that could not be packed, by name and by number', () => {
  const guest = new Guest()
  for (const name of ['con.txt', 'a:b', 'a\\b', 'dot.', 'space ', 'esc\u001b[2J', '\u202e'])
    assert.is(guest.openError(OUT, name, CREATE), ERRNO.inval, name)
  assert.is(guest.path('path_create_directory', ROOT, 'nul'), ERRNO.inval)
  guest.create(TMP, 'a:b', '')
  assert.is(guest.rename(TMP, 'a:b', OUT, 'a:b'), ERRNO.inval)
  assert.is(guest.rename(TMP, 'a:b', OUT, 'a-b'), ERRNO.success)
  for (let i = 1; i < 1_024; i++) guest.call('fd_close', guest.open(OUT, `f${i}`, CREATE))
  assert.is(guest.openError(OUT, 'one more', CREATE), ERRNO.nospc)
  guest.create(TMP, 'x', '')
  assert.is(guest.rename(TMP, 'x', OUT, 'x'), ERRNO.nospc)
  assert.equal(Object.keys(guest.left().files).length, 1_024)
})

quotas('refuse folders moved to where a file in them could not be packed', () => {
  const guest = new Guest()
  const deep = Array.from({ length: 10 }, (_, i) => `d${i}`)
  deep.forEach((_, i) => {
    assert.is(guest.path('path_create_directory', OUT, deep.slice(0, i + 1).join('/')), ERRNO.success)
  })
  for (const name of ['e', 'e/f', 'e/f/g', 'e/f/g/h', 'e/f/g/h/i']) guest.path('path_create_directory', OUT, name)
  guest.create(OUT, 'e/f/g/h/i/j', '')
  assert.is(guest.rename(OUT, 'e', OUT, `${deep.join('/')}/e`), ERRNO.success)
  assert.is(guest.path('path_create_directory', OUT, 'k'), ERRNO.success)
  assert.is(guest.rename(OUT, 'd0', OUT, 'k/d0'), ERRNO.inval)
  assert.is(guest.rename(OUT, 'd0', OUT, 'c'), ERRNO.success)
})

quotas('let names take no more memory than their own bytes, however long the paths that made them', () => {
  const guest = new Guest()
  const detour = './'.repeat(1_900)
  const before = heapBytes()
  for (let i = 0; i < 5_000; i++)
    assert.is(guest.path('path_create_directory', TMP, `${detour}€-in-two-bytes-a-letter-${i}`), ERRNO.success)
  const perName = (heapBytes() - before) / 5_000
  assert.ok(perName < 1_500, `${perName} bytes a name`)
})

quotas('bound the names that listings keep', () => {
  const guest = new Guest()
  for (let i = 0; i < 1_000; i++) guest.create(TMP, `f${i}`, '')
  const begin = (fd: number) => guest.call('fd_readdir', fd, DATA, 100, 0n, ANSWER)
  const fds = Array.from({ length: 66 }, () => guest.open(TMP, '.', DIRECTORY, READ_RIGHTS))
  const listed = Math.floor(LISTED_NAMES_MAX / 1_000)
  for (const fd of fds.slice(0, listed)) assert.is(begin(fd), ERRNO.success)
  assert.is(begin(fds[listed]!), ERRNO.nomem)
  assert.is(begin(fds[0]!), ERRNO.success)
  guest.call('fd_close', fds[0]!)
  assert.is(begin(fds[listed]!), ERRNO.success)
})

quotas('charge for names that are gone when a listing goes on, and for many pieces', () => {
  const guest = new Guest()
  for (let i = 0; i < 100; i++) guest.create(TMP, `f${i}`, '')
  guest.call('fd_readdir', TMP, DATA, 50, 0n, ANSWER)
  for (let i = 0; i < 100; i++) guest.path('path_unlink_file', TMP, `f${i}`)
  const fuelOf = (body: () => void) => {
    const before = guest.fuel
    body()
    return guest.fuel - before
  }
  const rest = () => guest.call('fd_readdir', TMP, DATA, 50, 2n, ANSWER)
  assert.is(fuelOf(rest), CALL_FUEL + 100 * NAME_FUEL)
  guest.bytes.fill(0, DATA, DATA + 8 * PIECES_MAX)
  const write = (pieces: number) => () => guest.call('fd_write', STDOUT, DATA, pieces, ANSWER)
  assert.is(fuelOf(write(PIECES_FREE)), CALL_FUEL)
  assert.is(fuelOf(write(PIECES_MAX)), CALL_FUEL + (PIECES_MAX - PIECES_FREE) * PIECE_FUEL)
})

quotas('bound descriptors, and a refused open creates nothing', () => {
  const guest = new Guest()
  for (let fd = 7; fd < DESCRIPTORS_MAX; fd++) assert.is(guest.open(TMP, 'f', CREATE), fd)
  assert.is(guest.openError(TMP, 'g', CREATE), ERRNO.mfile)
  assert.equal(guest.list(TMP), ['.', '..', 'f'])
})

quotas('bound files and folders, and count those that are gone no more', () => {
  const guest = new Guest()
  for (let i = 0; i < NODES_MAX; i++) assert.is(guest.path('path_create_directory', TMP, `d${i}`), ERRNO.success)
  assert.is(guest.path('path_create_directory', TMP, 'more'), ERRNO.nospc)
  assert.is(guest.openError(OUT, 'more', CREATE), ERRNO.nospc)
  guest.path('path_remove_directory', TMP, 'd0')
  assert.is(guest.path('path_create_directory', TMP, 'more'), ERRNO.success)
})

quotas('bound names, paths, and the pieces of a read or write', () => {
  const guest = new Guest()
  assert.is(guest.path('path_create_directory', TMP, 'x'.repeat(255)), ERRNO.success)
  assert.is(guest.path('path_create_directory', TMP, 'x'.repeat(256)), ERRNO.nametoolong)
  assert.is(guest.path('path_create_directory', TMP, 'ä'.repeat(128)), ERRNO.nametoolong)
  assert.is(guest.path('path_create_directory', TMP, './'.repeat(2_049)), ERRNO.nametoolong)
  assert.is(guest.call('fd_write', STDOUT, 0, PIECES_MAX + 1, 0), ERRNO.inval)
  guest.bytes.fill(0)
  assert.is(guest.call('fd_write', STDOUT, 0, PIECES_MAX, 0), ERRNO.success)
})

/** Deletes everything below a folder. */
function empty(guest: Guest, folder: number): void {
  const names = guest.list(folder).filter((name) => name !== '.' && name !== '..')
  for (const name of names) {
    if (guest.path('path_unlink_file', folder, name) !== ERRNO.isdir) continue
    const inner = guest.open(folder, name, DIRECTORY, READ_RIGHTS)
    empty(guest, inner)
    guest.call('fd_close', inner)
    assert.is(guest.path('path_remove_directory', folder, name), ERRNO.success)
  }
}

quotas('are whole again, to the byte, when all that random operations made is deleted and closed', () => {
  const names = ['a', 'b', 'c', 'a/a', 'a/b', 'b/a', 'c/c']
  for (let seed = 0; seed < 20; seed++) {
    const random = seededRandom(seed)
    const guest = new Guest({ outputBytes: 2_000_000, temporaryBytes: 1_000_000 })
    const name = () => names[random.int(names.length)]!
    const folder = () => (random.int(2) === 0 ? TMP : OUT)
    const fd = () => 7 + random.int(8)
    const operations: (() => unknown)[] = [
      () => guest.openError(folder(), name(), CREATE),
      () => guest.openError(folder(), name(), CREATE | TRUNCATE),
      () => guest.call('fd_close', fd()),
      () => guest.call('fd_renumber', fd(), fd()),
      () => guest.pwrite(fd(), 'x'.repeat(random.int(100)), BigInt(random.int(1_000))),
      () => guest.call('fd_filestat_set_size', fd(), BigInt(random.int(5_000))),
      () => guest.path('path_create_directory', folder(), name()),
      () => guest.path('path_remove_directory', folder(), name()),
      () => guest.path('path_unlink_file', folder(), name()),
      () => guest.rename(folder(), name(), folder(), name()),
      () => guest.rename(folder(), name(), folder(), name()),
      () => guest.link(folder(), name(), folder(), name()),
      () => guest.symlink(name(), folder(), name()),
    ]
    for (let i = 0; i < 600; i++) operations[random.int(operations.length)]!()
    for (let each = 7; each < DESCRIPTORS_MAX; each++) guest.call('fd_close', each)
    empty(guest, TMP)
    empty(guest, OUT)
    const inTmp = guest.open(TMP, 'all', CREATE)
    assert.is(guest.call('fd_allocate', inTmp, 0n, 1_000_000n), ERRNO.success, `seed ${seed}`)
    assert.is(guest.pwrite(inTmp, 'x', 1_000_000n), ERRNO.nospc)
    const inOut = guest.open(OUT, 'all', CREATE)
    assert.is(guest.call('fd_allocate', inOut, 0n, 2_000_000n), ERRNO.success, `seed ${seed}`)
    assert.is(
      stopOf(() => guest.write(STDOUT, 'x')),
      'output',
    )
    for (let i = 1; i < 1_024; i++) guest.call('fd_close', guest.open(OUT, `f${i}`, CREATE))
    assert.is(guest.openError(OUT, 'one more', CREATE), ERRNO.nospc)
    if (seed > 0) continue
    let folders = 0
    while (guest.path('path_create_directory', TMP, `d${folders}`) === ERRNO.success) folders++
    assert.is(folders, NODES_MAX - 1 - 1_024)
  }
})

quotas('charge every call, and what it moves', () => {
  const guest = new Guest()
  guest.call('sched_yield')
  assert.is(guest.fuel, CALL_FUEL)
  guest.call('random_get', 0, 1_000)
  assert.is(guest.fuel, 2 * CALL_FUEL + 1_000)
  guest.write(STDERR, 'x'.repeat(160))
  assert.is(guest.fuel, 3 * CALL_FUEL + 1_010)
  guest.path('path_unlink_file', TMP, 'a/b')
  assert.is(guest.fuel, 4 * CALL_FUEL + 1_010 + 2 * NAME_FUEL)
  assert.is(
    stopOf(() => guest.write(STDOUT, 'x'.repeat(1_600))),
    'output',
  )
  assert.is(guest.fuel, 5 * CALL_FUEL + 1_110 + 2 * NAME_FUEL)
})

quotas.run()
