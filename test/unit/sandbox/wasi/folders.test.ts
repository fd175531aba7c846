import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ERRNO } from '../../../../sandbox/wasi/errno.js'
import { ALL_RIGHTS, CREATE, DIRECTORY, Guest, OUT, READ_RIGHTS, ROOT, STDIN, STDOUT, TMP } from './fixture.js'

const folders = suite('folders and descriptors')

folders('are listed by the bytes of their names, whatever the order of creation and the size of the buffer', () => {
  const name = fc.stringMatching(/^[a-zäΩ😀Z0-9]{1,12}$/u)
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 30 }), fc.integer({ min: 100, max: 500 }), (names, size) => {
      const guest = new Guest()
      for (const each of names) guest.create(TMP, each, '')
      const sorted = names.map((each) => Buffer.from(each)).sort(Buffer.compare)
      assert.equal(guest.list(TMP, size), ['.', '..', ...sorted.map(String)])
    }),
    { numRuns: 50 },
  )
})

folders('can be emptied while they are listed', () => {
  const guest = new Guest()
  for (let i = 0; i < 200; i++) guest.create(TMP, `file-${i}`, '')
  const fd = guest.open(ROOT, 'tmp', DIRECTORY, READ_RIGHTS)
  let cookie = 0n
  for (let removed = 0; removed < 200; ) {
    const used = guest.answer('fd_readdir', fd, 0x8000, 256, cookie)
    const entries: string[] = []
    for (let at = 0x8000; at + 24 < 0x8000 + used; ) {
      const length = guest.view.getUint32(at + 16, true)
      if (at + 24 + length > 0x8000 + used) break
      cookie = guest.view.getBigUint64(at, true)
      entries.push(new TextDecoder().decode(guest.bytes.slice(at + 24, at + 24 + length)))
      at += 24 + length
    }
    assert.ok(entries.length > 0, 'a listing that goes on has entries')
    for (const entry of entries)
      if (entry.startsWith('file')) {
        assert.is(guest.path('path_unlink_file', TMP, entry), ERRNO.success)
        removed++
      }
  }
  assert.equal(guest.list(fd), ['.', '..'])
})

folders('begin anew at cookie 0, and are at their end beyond the last', () => {
  const guest = new Guest()
  guest.create(TMP, 'a', '')
  assert.equal(guest.list(TMP), ['.', '..', 'a'])
  guest.create(TMP, 'b', '')
  assert.equal(guest.list(TMP), ['.', '..', 'a', 'b'])
  assert.is(guest.answer('fd_readdir', TMP, 0x8000, 256, -1n), 0)
})

folders('cannot be removed while they hold something, nor if they are the host’s', () => {
  const guest = new Guest()
  guest.path('path_create_directory', TMP, 'd')
  guest.create(TMP, 'd/f', '')
  assert.is(guest.path('path_remove_directory', TMP, 'd'), ERRNO.notempty)
  assert.is(guest.path('path_unlink_file', TMP, 'd'), ERRNO.isdir)
  guest.path('path_unlink_file', TMP, 'd/f')
  assert.is(guest.path('path_remove_directory', TMP, 'd'), ERRNO.success)
  assert.is(guest.path('path_remove_directory', ROOT, 'tmp'), ERRNO.busy)
  assert.is(guest.path('path_remove_directory', TMP, '.'), ERRNO.busy)
  assert.is(guest.path('path_create_directory', ROOT, 'in'), ERRNO.exist)
})

folders('that were removed stay empty', () => {
  const guest = new Guest()
  guest.path('path_create_directory', TMP, 'd')
  const fd = guest.open(TMP, 'd', DIRECTORY, READ_RIGHTS)
  guest.path('path_remove_directory', TMP, 'd')
  assert.is(guest.openError(fd, 'f', CREATE), ERRNO.noent)
  assert.is(guest.path('path_create_directory', fd, 'e'), ERRNO.noent)
  assert.equal(guest.list(fd), ['.', '..'])
})

folders('that a program starts with have names, and nothing else has', () => {
  const guest = new Guest()
  const names = [3, 4, 5, 6].map((fd) => {
    assert.is(guest.call('fd_prestat_get', fd, 0), ERRNO.success)
    const length = guest.view.getUint32(4, true)
    assert.is(guest.call('fd_prestat_dir_name', fd, 0x100, length), ERRNO.success)
    assert.is(guest.call('fd_prestat_dir_name', fd, 0x100, length - 1), ERRNO.nametoolong)
    return new TextDecoder().decode(guest.bytes.slice(0x100, 0x100 + length))
  })
  assert.equal(names, ['/', '/in', '/out', '/tmp'])
  assert.is(guest.call('fd_prestat_get', 7, 0), ERRNO.badf)
  assert.is(guest.call('fd_prestat_get', STDOUT, 0), ERRNO.badf)
})

folders('descriptors get the lowest free number', () => {
  const guest = new Guest()
  const [a, b, c] = ['a', 'b', 'c'].map((name) => guest.open(TMP, name, CREATE))
  assert.equal([a, b, c], [7, 8, 9])
  guest.call('fd_close', 8)
  assert.is(guest.open(TMP, 'd', CREATE), 8)
  guest.call('fd_close', STDIN)
  assert.is(guest.open(TMP, 'e', CREATE), 0)
  assert.is(guest.call('fd_close', 50), ERRNO.badf)
})

folders('descriptors are renumbered onto open ones', () => {
  const guest = new Guest()
  const fd = guest.open(OUT, 'log', CREATE)
  assert.is(guest.call('fd_renumber', fd, STDOUT), ERRNO.success)
  guest.write(STDOUT, 'to the file')
  assert.is(guest.call('fd_renumber', 40, STDOUT), ERRNO.badf)
  assert.is(guest.call('fd_renumber', STDOUT, 40), ERRNO.badf)
  assert.is(guest.call('fd_renumber', STDOUT, STDOUT), ERRNO.success)
  assert.is(guest.call('fd_close', fd), ERRNO.badf)
  assert.equal(guest.left(), { stdout: '', stderr: '', stderrLength: 0, files: { log: 'to the file' } })
})

folders('descriptors lose rights and never gain any', () => {
  const guest = new Guest()
  const fd = guest.open(TMP, 'f', CREATE)
  guest.call('fd_fdstat_get', fd, 0)
  const rights = guest.view.getBigUint64(8, true)
  assert.is(guest.call('fd_fdstat_set_rights', fd, rights & ~(1n << 6n), 0n), ERRNO.success)
  assert.is(guest.write(fd, 'x'), ERRNO.badf)
  assert.is(guest.call('fd_fdstat_set_rights', fd, rights, 0n), ERRNO.notcapable)
  assert.is(guest.call('fd_fdstat_set_rights', fd, 1n << 60n, 0n), ERRNO.notcapable)
})

folders('standard streams are no terminals, have no position and are no sockets', () => {
  const guest = new Guest({ stdin: new TextEncoder().encode('in') })
  assert.is(guest.call('fd_seek', STDIN, 0n, 0, 0), ERRNO.spipe)
  assert.is(guest.call('fd_fdstat_get', STDOUT, 0), ERRNO.success)
  assert.is(guest.view.getUint8(0), 0)
  assert.is(guest.write(STDIN, 'x'), ERRNO.badf)
  assert.is(guest.read(STDIN, 1), 'i')
  assert.is(guest.read(STDIN), 'n')
  assert.is(guest.read(STDIN), '')
  assert.is(guest.call('sock_send', STDOUT, 0, 0, 0, 0), ERRNO.notsock)
  assert.is(guest.call('sock_accept', 77, 0, 0), ERRNO.badf)
  assert.is(guest.call('proc_raise', 9), ERRNO.notsup)
  assert.is(guest.openError(STDOUT, 'x', 0, ALL_RIGHTS), ERRNO.notdir)
})

folders.run()
