import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FixedBytes, type StoredBytes } from '../../../../sandbox/wasi/byte-store.js'
import { EPOCH_NS } from '../../../../sandbox/wasi/clock.js'
import { ERRNO } from '../../../../sandbox/wasi/errno.js'
import {
  ALL_RIGHTS,
  CREATE,
  DIRECTORY,
  EXCLUSIVE,
  Guest,
  IN,
  OUT,
  READ_RIGHTS,
  ROOT,
  TMP,
  TRUNCATE,
} from './fixture.js'

const files = suite('files of a program')

const SET = 0
const END = 2
const APPEND = 1

function inputs(texts: Record<string, string>): ReadonlyMap<string, StoredBytes> {
  return new Map(Object.entries(texts).map(([name, text]) => [name, new FixedBytes(new TextEncoder().encode(text))]))
}

files('are found below /, /in, /out and /tmp', () => {
  const guest = new Guest({ files: inputs({ 'a.txt': 'A', 'd/b.txt': 'B' }) })
  guest.create(OUT, 'o', 'O')
  guest.create(TMP, 't', 'T')
  assert.is(guest.content(ROOT, 'in/a.txt'), 'A')
  assert.is(guest.content(IN, 'd/b.txt'), 'B')
  assert.is(guest.content(ROOT, 'out/o'), 'O')
  assert.is(guest.content(ROOT, 'o'), 'O')
  assert.is(guest.content(ROOT, 'tmp/t'), 'T')
  assert.equal(guest.list(ROOT), ['.', '..', 'in', 'o', 'out', 'tmp'])
})

files('written to the working folder are output', () => {
  const guest = new Guest()
  guest.create(ROOT, 'result.txt', 'R')
  assert.is(guest.path('path_create_directory', ROOT, 'sub'), ERRNO.success)
  guest.create(ROOT, 'sub/s.txt', 'S')
  assert.is(guest.path('path_create_directory', ROOT, 'empty'), ERRNO.success)
  assert.equal(guest.left().files, { 'result.txt': 'R', 'sub/s.txt': 'S' })
})

files('of /in that cannot be read blame the host, not the program', () => {
  const broken: StoredBytes = {
    length: 10,
    read: () => {
      throw new Error('disk')
    },
  }
  const guest = new Guest({ files: new Map([['x', broken]]) })
  assert.throws(() => guest.content(IN, 'x'), /disk/)
})

files('of the same name as a folder of the root are hidden there and are output all the same', () => {
  const guest = new Guest({ files: inputs({ x: 'X' }) })
  guest.create(OUT, 'in', 'I')
  assert.is(guest.content(ROOT, 'in/x'), 'X')
  assert.equal(guest.list(ROOT), ['.', '..', 'in', 'out', 'tmp'])
  assert.equal(guest.list(OUT), ['.', '..', 'in'])
  assert.equal(guest.left().files, { in: 'I' })
})

files('of /in cannot be changed in any way', () => {
  const guest = new Guest({ files: inputs({ x: 'X' }) })
  assert.is(guest.openError(IN, 'x'), ERRNO.rofs)
  assert.is(guest.openError(IN, 'x', TRUNCATE, READ_RIGHTS), ERRNO.rofs)
  assert.is(guest.openError(IN, 'new', CREATE), ERRNO.rofs)
  assert.is(guest.path('path_unlink_file', IN, 'x'), ERRNO.rofs)
  assert.is(guest.path('path_create_directory', IN, 'd'), ERRNO.rofs)
  assert.is(guest.rename(IN, 'x', TMP, 'x'), ERRNO.rofs)
  guest.create(TMP, 'y', 'Y')
  assert.is(guest.rename(TMP, 'y', IN, 'y'), ERRNO.rofs)
  assert.is(guest.link(IN, 'x', TMP, 'l'), ERRNO.xdev)
  assert.is(guest.symlink('x', IN, 's'), ERRNO.rofs)
  assert.is(guest.call('path_filestat_set_times', IN, 0, ...guest.text('x'), 0n, 0n, 2), ERRNO.rofs)
  const fd = guest.open(IN, 'x', 0, READ_RIGHTS)
  assert.is(guest.write(fd, 'Z'), ERRNO.badf)
  assert.is(guest.call('fd_filestat_set_size', fd, 0n), ERRNO.inval)
  assert.is(guest.call('fd_allocate', fd, 0n, 10n), ERRNO.badf)
  assert.is(guest.read(fd), 'X')
})

files('lead nowhere else', () => {
  const guest = new Guest({ files: inputs({ x: 'X' }) })
  assert.is(guest.openError(ROOT, '../etc/passwd'), ERRNO.notcapable)
  assert.is(guest.openError(IN, '../out'), ERRNO.notcapable)
  assert.is(guest.openError(IN, '/in/x'), ERRNO.notcapable)
  assert.is(guest.openError(ROOT, 'in/../../x'), ERRNO.notcapable)
  assert.is(guest.openError(ROOT, 'etc/passwd'), ERRNO.noent)
  assert.is(guest.openError(ROOT, ''), ERRNO.noent)
  assert.is(guest.openError(ROOT, 'in/x\0y'), ERRNO.inval)
  assert.is(guest.openError(ROOT, 'in/x/y'), ERRNO.notdir)
  assert.is(guest.symlink('/in/x', TMP, 's'), ERRNO.notcapable)
  assert.is(guest.symlink('../in/x', TMP, 's'), ERRNO.success)
  assert.is(guest.openError(TMP, 's'), ERRNO.notcapable)
  assert.is(guest.content(ROOT, 'in/./../in//x'), 'X')
})

files('have names of UTF-8, kept as they are', () => {
  const guest = new Guest()
  guest.create(TMP, '\ufeffmärz', 'M')
  assert.equal(
    guest.list(TMP),
    ['.', '..', '\ufeffmärz'].map((name) => new TextDecoder().decode(new TextEncoder().encode(name))),
  )
  guest.bytes.set([0x61, 0xff], 0x100)
  assert.is(guest.call('path_create_directory', TMP, 0x100, 2), ERRNO.ilseq)
})

files('are created, refused, cut and opened as flags say', () => {
  const guest = new Guest()
  assert.is(guest.openError(TMP, 'f'), ERRNO.noent)
  guest.create(TMP, 'f', 'text')
  assert.is(guest.openError(TMP, 'f', CREATE | EXCLUSIVE), ERRNO.exist)
  assert.is(guest.openError(TMP, 'f', DIRECTORY), ERRNO.notdir)
  assert.is(guest.openError(TMP, 'f/'), ERRNO.notdir)
  assert.is(guest.openError(TMP, 'g/', CREATE), ERRNO.isdir)
  assert.is(guest.openError(TMP, 'f', 16), ERRNO.inval)
  assert.is(guest.openError(ROOT, 'tmp', DIRECTORY), ERRNO.isdir, 'not for writing')
  assert.is(guest.stat(TMP, 'f').size, 4n)
  guest.open(TMP, 'f', TRUNCATE)
  assert.is(guest.stat(TMP, 'f').size, 0n)
})

files('are read, written and sought at positions', () => {
  const guest = new Guest()
  const fd = guest.open(TMP, 'f', CREATE)
  guest.write(fd, 'hello')
  assert.is(guest.call('fd_seek', fd, -3n, END, 0), ERRNO.success)
  assert.is(guest.read(fd), 'llo')
  assert.is(guest.call('fd_seek', fd, -1n, SET, 0), ERRNO.inval)
  assert.is(guest.call('fd_seek', fd, 0n, 3, 0), ERRNO.inval)
  assert.is(guest.call('fd_seek', fd, 7n, SET, 0), ERRNO.success)
  assert.is(guest.read(fd), '')
  guest.write(fd, '!')
  assert.is(guest.pwrite(fd, 'J', 0n), ERRNO.success)
  assert.is(guest.answer('fd_tell', fd), 8)
  assert.is(guest.content(TMP, 'f'), 'Jello\0\0!')
})

files('opened for appending are written at their end', () => {
  const guest = new Guest()
  guest.create(TMP, 'f', 'one')
  const fd = guest.open(TMP, 'f', 0, ALL_RIGHTS, APPEND)
  guest.write(fd, 'two')
  guest.call('fd_seek', fd, 0n, SET, 0)
  guest.write(fd, 'three')
  assert.is(guest.content(TMP, 'f'), 'onetwothree')
  assert.is(guest.call('fd_fdstat_set_flags', fd, 0), ERRNO.success)
  guest.call('fd_seek', fd, 0n, SET, 0)
  guest.write(fd, 'ONE')
  assert.is(guest.content(TMP, 'f'), 'ONEtwothree')
})

files('live on while they are open after their name is gone', () => {
  const guest = new Guest()
  guest.create(TMP, 'f', 'still here')
  const fd = guest.open(TMP, 'f')
  assert.is(guest.path('path_unlink_file', TMP, 'f'), ERRNO.success)
  assert.is(guest.read(fd), 'still here')
  assert.is(guest.openError(TMP, 'f'), ERRNO.noent)
})

files('are moved and replaced by renaming, from /tmp to /out too', () => {
  const guest = new Guest()
  guest.create(TMP, 'f', 'new')
  guest.create(OUT, 'g', 'old')
  assert.is(guest.rename(TMP, 'f', OUT, 'g'), ERRNO.success)
  assert.equal(guest.left().files, { g: 'new' })
  assert.equal(guest.list(TMP), ['.', '..'])
  assert.is(guest.rename(OUT, 'g', OUT, 'g'), ERRNO.success)
  assert.is(guest.rename(OUT, 'g', OUT, 'h/'), ERRNO.notdir)
  assert.is(guest.rename(OUT, 'none', OUT, 'h'), ERRNO.noent)
  assert.is(guest.rename(ROOT, 'in', ROOT, 'h'), ERRNO.busy)
})

files('and folders replace only their like', () => {
  const guest = new Guest()
  guest.create(TMP, 'f', '')
  for (const name of ['a', 'a/b', 'e']) guest.path('path_create_directory', TMP, name)
  assert.is(guest.rename(TMP, 'a', TMP, 'a/b/c'), ERRNO.inval)
  assert.is(guest.rename(TMP, 'a', TMP, 'f'), ERRNO.notdir)
  assert.is(guest.rename(TMP, 'f', TMP, 'a'), ERRNO.isdir)
  assert.is(guest.rename(TMP, 'e', TMP, 'a'), ERRNO.notempty)
  assert.is(guest.rename(TMP, 'a', TMP, 'e'), ERRNO.success)
  assert.is(guest.rename(ROOT, 'tmp/e', ROOT, 'e'), ERRNO.xdev)
  assert.equal(guest.list(TMP), ['.', '..', 'e', 'f'])
})

files('have several names and links in /tmp, none in /out', () => {
  const guest = new Guest()
  guest.create(TMP, 'f', 'F')
  assert.is(guest.link(TMP, 'f', TMP, 'g'), ERRNO.success)
  assert.is(guest.stat(TMP, 'g').links, 2n)
  assert.is(guest.symlink('g', TMP, 's'), ERRNO.success)
  assert.is(guest.content(TMP, 's'), 'F')
  assert.is(guest.symlink('loop', TMP, 'loop'), ERRNO.success)
  assert.is(guest.openError(TMP, 'loop'), ERRNO.loop)
  guest.create(OUT, 'o', '')
  assert.is(guest.link(OUT, 'o', OUT, 'p'), ERRNO.notsup)
  assert.is(guest.symlink('o', OUT, 'p'), ERRNO.notsup)
  assert.is(guest.rename(TMP, 's', OUT, 's'), ERRNO.notsup)
  assert.is(guest.rename(TMP, 'f', OUT, 'f'), ERRNO.xdev)
})

files('get the same numbers in every run, in the order of their creation', () => {
  const numbers = [0, 1].map((turn) => {
    const named: [string, string][] = [
      ['b', 'B'],
      ['a', 'A'],
    ]
    const guest = new Guest({ files: inputs(Object.fromEntries(turn === 0 ? named : named.reverse())) })
    guest.create(TMP, 'x', '')
    return [guest.stat(IN, 'a'), guest.stat(IN, 'b'), guest.stat(TMP, 'x')].map(({ inode }) => inode)
  })
  assert.equal(numbers[0], numbers[1])
  assert.ok(numbers[0]![0]! < numbers[0]![1]! && numbers[0]![1]! < numbers[0]![2]!)
})

files('bear the time of the virtual clock, or what the program sets', () => {
  const guest = new Guest()
  guest.create(TMP, 'f', '')
  assert.is(guest.stat(TMP, 'f').modifiedAt, EPOCH_NS)
  assert.is(guest.call('path_filestat_set_times', TMP, 0, ...guest.text('f'), 0n, 77n, 4), ERRNO.success)
  assert.is(guest.stat(TMP, 'f').modifiedAt, 77n)
  assert.is(guest.call('path_filestat_set_times', TMP, 0, ...guest.text('f'), 0n, 77n, 12), ERRNO.inval)
})

files.run()
