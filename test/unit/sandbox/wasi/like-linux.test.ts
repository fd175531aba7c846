import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Random } from '../../../../runtime/random.js'
import { ERRNO } from '../../../../sandbox/wasi/errno.js'
import { seededRandom } from '../../../support/seeded-random.js'
import { CREATE, Guest, READ_RIGHTS, TMP, TRUNCATE } from './fixture.js'

/*
 * The same operations on /tmp of a unit and on a folder of this machine. Error numbers of POSIX differ between systems in
 * corners (unlink of a folder), so the comparison is with Linux alone.
 */
const files = suite('files of a program behave as on Linux')

const NAMES = ['a', 'b', 'c', 'd']
const OPERATIONS_A_RUN = 300
const RUNS = 12

interface Operation {
  readonly name: string
  readonly paths: readonly string[]
  readonly size: number
}

/** What an operation gave: an error's name, or what was read. */
type Answer = string

function randomPath(random: Random): string {
  const depth = 1 + random.int(3)
  const parts = Array.from({ length: depth }, () => (random.int(12) === 0 ? '.' : NAMES[random.int(NAMES.length)]!))
  // Up again below the first part only, so that no path leaves the folder.
  if (depth > 2 && parts[0] !== '.' && random.int(4) === 0) parts[1] = '..'
  // Links differ from folders in the last part: `.` there is told apart by neither.
  if (parts.at(-1) === '.') parts[parts.length - 1] = 'a'
  return parts.join('/')
}

function randomOperation(random: Random): Operation {
  const names = [
    'mkdir',
    'mkdir',
    'rmdir',
    'unlink',
    'rename',
    'rename',
    'write',
    'write',
    'append',
    'read',
    'list',
    'link',
    'symlink',
    'stat',
    'lstat',
    'readlink',
  ]
  const name = names[random.int(names.length)]!
  const first = name === 'symlink' ? NAMES[random.int(NAMES.length)]! : randomPath(random)
  return { name, paths: [first, randomPath(random)], size: random.int(50) }
}

function here(root: string, { name, paths, size }: Operation): Answer {
  const path = join.bind(undefined, root)
  // `join` would take `..` away before the system sees it.
  const first = `${root}/${paths[0]}`
  const second = `${root}/${paths[1]}`
  const text = 'x'.repeat(size)
  try {
    switch (name) {
      case 'mkdir':
        fs.mkdirSync(first)
        return 'ok'
      case 'rmdir':
        fs.rmdirSync(first)
        return 'ok'
      case 'unlink':
        fs.unlinkSync(first)
        return 'ok'
      case 'rename':
        fs.renameSync(first, second)
        return 'ok'
      case 'write':
        fs.writeFileSync(first, text)
        return 'ok'
      case 'append':
        fs.appendFileSync(first, text)
        return 'ok'
      case 'read':
        return fs.readFileSync(first, 'utf8')
      case 'list':
        return fs.readdirSync(first).sort().join(' ')
      case 'link':
        fs.linkSync(first, second)
        return 'ok'
      case 'symlink':
        fs.symlinkSync(paths[0]!, second)
        return 'ok'
      case 'readlink':
        return fs.readlinkSync(first)
      default: {
        const stat = name === 'stat' ? fs.statSync(first) : fs.lstatSync(first)
        return statText(stat.isDirectory(), stat.isSymbolicLink(), stat.nlink, stat.size)
      }
    }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? path(String(error))
  }
}

function inside(guest: Guest, { name, paths, size }: Operation): Answer {
  const [first, second] = paths as [string, string]
  const text = 'x'.repeat(size)
  const errorName = (errno: number) => {
    const found = Object.entries(ERRNO).find(([, value]) => value === errno)
    return errno === 0 ? 'ok' : `E${found?.[0].toUpperCase()}`
  }
  const withFile = (flags: number, rights: bigint, fdFlags: number, use: (fd: number) => string): string => {
    const errno = guest.call('path_open', TMP, 1, ...guest.text(first), flags, rights, 0n, fdFlags, 0)
    if (errno !== 0) return errorName(errno)
    const fd = guest.view.getUint32(0, true)
    const result = use(fd)
    guest.call('fd_close', fd)
    return result
  }
  const writeRights = (1n << 6n) | (1n << 2n)
  switch (name) {
    case 'mkdir':
      return errorName(guest.path('path_create_directory', TMP, first))
    case 'rmdir':
      return errorName(guest.path('path_remove_directory', TMP, first))
    case 'unlink':
      return errorName(guest.path('path_unlink_file', TMP, first))
    case 'rename':
      return errorName(guest.rename(TMP, first, TMP, second))
    case 'write':
      return withFile(CREATE | TRUNCATE, writeRights, 0, (fd) => errorName(guest.write(fd, text)))
    case 'append':
      return withFile(CREATE, writeRights, 1, (fd) => errorName(guest.write(fd, text)))
    case 'read':
      return withFile(0, READ_RIGHTS, 0, (fd) => {
        const errno = guest.call('fd_read', fd, 0, 0, 8)
        return errno === 0 ? guest.read(fd, 0x8000) : errorName(errno)
      })
    case 'list':
      return withFile(2, READ_RIGHTS, 0, (fd) => guest.list(fd).slice(2).join(' '))
    case 'link':
      return errorName(guest.link(TMP, first, TMP, second))
    case 'symlink':
      return errorName(guest.symlink(first, TMP, second))
    case 'readlink': {
      const errno = guest.call('path_readlink', TMP, ...guest.text(first), 0x8000, 100, 0)
      const used = guest.view.getUint32(0, true)
      return errno === 0 ? new TextDecoder().decode(guest.bytes.slice(0x8000, 0x8000 + used)) : errorName(errno)
    }
    default: {
      const errno = guest.call('path_filestat_get', TMP, name === 'stat' ? 1 : 0, ...guest.text(first), 0)
      if (errno !== 0) return errorName(errno)
      const type = guest.view.getUint8(16)
      const [links, length] = [24, 32].map((at) => Number(guest.view.getBigUint64(at, true))) as [number, number]
      return statText(type === 3, type === 7, links, length)
    }
  }
}

/** Sizes and link counts of folders are the file system's own affair. */
function statText(isFolder: boolean, isLink: boolean, links: number, size: number): string {
  return isFolder ? 'folder' : `${isLink ? 'link' : 'file'} ${links} ${size}`
}

for (let seed = 1; seed <= RUNS; seed++)
  files(`over ${OPERATIONS_A_RUN} random operations with seed ${seed}`, () => {
    if (process.platform !== 'linux') return
    const root = fs.mkdtempSync(join(tmpdir(), 'manyhands-files-'))
    try {
      const guest = new Guest({ temporaryBytes: 2 ** 20 })
      const random = seededRandom(seed)
      for (let i = 0; i < OPERATIONS_A_RUN; i++) {
        const operation = randomOperation(random)
        assert.is(
          inside(guest, operation),
          here(root, operation),
          `${i}: ${operation.name} ${operation.paths.join(' ')}`,
        )
      }
    } finally {
      fs.rmSync(root, { recursive: true })
    }
  })

files.run()
