import { utf8 } from '../../runtime/hex.js'
import { FOLLOW_LINKS } from './call-open.js'
import type { CallContext, Calls } from './calls.js'
import { ERRNO, refuse } from './errno.js'
import { BYTES_PER_FUEL } from './limits.js'
import { FILE_TYPE, isAbove } from './node.js'
import { type PathEnd, resolvePath } from './path.js'
import { setTimes, writeFilestat } from './stat.js'
import type { Entry } from './tree.js'

/** Calls that name a file by a path and do not open it. */
export function pathCalls({ memory, descriptors, tree, clock, spend }: CallContext): Calls {
  const resolve = (fd: number, pathAt: number, length: number, lookupFlags = 0): PathEnd =>
    resolvePath(descriptors.folder(fd).node, memory.path(pathAt, length), (lookupFlags & FOLLOW_LINKS) !== 0, spend)
  const existing = (place: PathEnd) => place.node ?? refuse(ERRNO.noent)
  /** An entry that can be changed: not `.`, not a folder that the host made. */
  const changeable = (place: PathEnd): Entry => place.entry ?? refuse(ERRNO.busy)
  const vacant = (place: PathEnd): Entry => (place.node === undefined ? changeable(place) : refuse(ERRNO.exist))
  return {
    path_create_directory(fd: number, pathAt: number, length: number) {
      tree.createFolder(vacant(resolve(fd, pathAt, length)))
    },
    path_remove_directory(fd: number, pathAt: number, length: number) {
      const place = resolve(fd, pathAt, length)
      const node = existing(place)
      if (node.type !== FILE_TYPE.directory) refuse(ERRNO.notdir)
      const entry = changeable(place)
      if (node.entries.size > 0) refuse(ERRNO.notempty)
      tree.remove(entry, node)
    },
    path_unlink_file(fd: number, pathAt: number, length: number) {
      const place = resolve(fd, pathAt, length)
      const node = existing(place)
      if (node.type === FILE_TYPE.directory) refuse(ERRNO.isdir)
      tree.remove(changeable(place), node)
    },
    path_rename(fd: number, pathAt: number, length: number, toFd: number, toAt: number, toLength: number) {
      const from = resolve(fd, pathAt, length)
      const to = resolve(toFd, toAt, toLength)
      const node = existing(from)
      const fromEntry = changeable(from)
      const toEntry = changeable(to)
      const isFolder = node.type === FILE_TYPE.directory
      if (to.folderOnly && !isFolder) refuse(ERRNO.notdir)
      if (isAbove(node, toEntry.folder, spend)) refuse(ERRNO.inval)
      if (to.node !== undefined && isAbove(to.node, fromEntry.folder, spend)) refuse(ERRNO.notempty)
      if (to.node === node) return
      if (to.node !== undefined) {
        if (isFolder && to.node.type !== FILE_TYPE.directory) refuse(ERRNO.notdir)
        if (!isFolder && to.node.type === FILE_TYPE.directory) refuse(ERRNO.isdir)
        if (to.node.type === FILE_TYPE.directory && to.node.entries.size > 0) refuse(ERRNO.notempty)
      }
      tree.move(fromEntry, node, toEntry, to.node)
    },
    path_filestat_get(fd: number, lookupFlags: number, pathAt: number, length: number, at: number) {
      writeFilestat(memory, at, existing(resolve(fd, pathAt, length, lookupFlags)))
    },
    path_filestat_set_times(
      fd: number,
      lookupFlags: number,
      pathAt: number,
      length: number,
      accessedAt: bigint,
      modifiedAt: bigint,
      flags: number,
    ) {
      const node = existing(resolve(fd, pathAt, length, lookupFlags))
      setTimes(node, accessedAt, modifiedAt, flags, clock.realtime)
    },
    path_link(
      fd: number,
      lookupFlags: number,
      pathAt: number,
      length: number,
      toFd: number,
      toAt: number,
      toLength: number,
    ) {
      const node = existing(resolve(fd, pathAt, length, lookupFlags))
      const to = resolve(toFd, toAt, toLength)
      const entry = vacant(to)
      if (to.folderOnly) refuse(ERRNO.noent)
      if (node.type === FILE_TYPE.directory) refuse(ERRNO.perm)
      tree.addName(entry, node)
    },
    path_symlink(targetAt: number, targetLength: number, fd: number, pathAt: number, length: number) {
      const target = memory.path(targetAt, targetLength)
      if (target === '') refuse(ERRNO.noent)
      // It could never be followed.
      if (target.startsWith('/')) refuse(ERRNO.notcapable)
      const place = resolve(fd, pathAt, length)
      const entry = vacant(place)
      if (place.folderOnly) refuse(ERRNO.noent)
      tree.createLink(entry, target)
    },
    path_readlink(fd: number, pathAt: number, length: number, textAt: number, textLength: number, usedAt: number) {
      const target = memory.bytes(textAt, textLength)
      memory.bytes(usedAt, 4)
      const node = existing(resolve(fd, pathAt, length))
      if (node.type !== FILE_TYPE.symbolicLink) refuse(ERRNO.inval)
      const text = utf8(node.target)
      spend(Math.ceil(text.length / BYTES_PER_FUEL))
      const used = Math.min(text.length, target.length)
      target.set(text.subarray(0, used))
      memory.setU32(usedAt, used)
    },
  }
}
