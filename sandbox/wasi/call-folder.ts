import { utf8 } from '../../runtime/hex.js'
import type { CallContext, Calls } from './calls.js'
import type { FolderDescriptor } from './descriptors.js'
import { ERRNO, refuse } from './errno.js'
import { BYTES_PER_FUEL, LISTED_NAMES_MAX, NAME_FUEL } from './limits.js'
import { child, type FolderNode, sortedNames, type TreeNode } from './node.js'

/** `dirent` of preview 1, without the name. */
const DIRENT_BYTES = 24
const PREOPEN_FOLDER = 0

/** The folders that a program starts with, and the listing of folders. */
export function folderCalls({ memory, descriptors, spend }: CallContext): Calls {
  const preopened = (fd: number): Uint8Array => {
    const descriptor = descriptors.get(fd)
    const isPreopen = descriptor.type === 'folder' && descriptor.preopen !== undefined
    return isPreopen ? utf8(descriptor.preopen) : refuse(ERRNO.badf)
  }
  const listing = (descriptor: FolderDescriptor, cookie: bigint): readonly string[] => {
    if (cookie === 0n || descriptor.listing === undefined) {
      const names = descriptor.node.links === 0 ? [] : sortedNames(descriptor.node)
      if (names !== descriptor.listing) {
        spend(NAME_FUEL * names.length)
        const others = descriptors.listedNames - (descriptor.listing?.length ?? 0)
        if (others + names.length > LISTED_NAMES_MAX) refuse(ERRNO.nomem)
      }
      descriptor.listing = names
    }
    return descriptor.listing
  }
  return {
    fd_prestat_get(fd: number, at: number) {
      const name = preopened(fd)
      memory.bytes(at, 8).fill(PREOPEN_FOLDER)
      memory.setU32((at >>> 0) + 4, name.length)
    },
    fd_prestat_dir_name(fd: number, nameAt: number, length: number) {
      const name = preopened(fd)
      if (length >>> 0 < name.length) refuse(ERRNO.nametoolong)
      memory.bytes(nameAt, name.length).set(name)
    },
    /**
     * `.`, `..`, then names by their bytes. A cookie is a position in the listing taken when a listing begins (cookie 0);
     * entries removed since are left out.
     */
    fd_readdir(fd: number, entriesAt: number, length: number, cookie: bigint, usedAt: number) {
      const descriptor = descriptors.folder(fd)
      const target = memory.bytes(entriesAt, length)
      memory.bytes(usedAt, 4)
      const from = BigInt.asUintN(64, cookie)
      const names = listing(descriptor, from)
      const dirent = new DataView(new ArrayBuffer(DIRENT_BYTES))
      const header = new Uint8Array(dirent.buffer)
      let used = 0
      const put = (bytes: Uint8Array) => {
        const count = Math.min(bytes.length, target.length - used)
        target.set(bytes.subarray(0, count), used)
        used += count
      }
      const count = names.length + 2
      for (let i = from > BigInt(count) ? count : Number(from); i < count && used < target.length; i++) {
        const node = entryAt(descriptor.node, names, i)
        if (node === undefined) {
          spend(NAME_FUEL)
          continue
        }
        const name = utf8(i === 0 ? '.' : i === 1 ? '..' : (names[i - 2] as string))
        dirent.setBigUint64(0, BigInt(i + 1), true)
        dirent.setBigUint64(8, BigInt(BigInt(node.inode)), true)
        dirent.setUint32(16, name.length, true)
        dirent.setUint8(20, node.type)
        put(header)
        put(name)
      }
      spend(Math.ceil(used / BYTES_PER_FUEL))
      memory.setU32(usedAt, used)
    },
  }
}

/** The node at position `i` of a listing. Nothing lies above the root of an area that a program could name: it is its own parent. */
function entryAt(folder: FolderNode, names: readonly string[], i: number): TreeNode | undefined {
  if (i === 0) return folder
  if (i === 1) return folder.parent?.folder ?? folder
  return child(folder, names[i - 2] as string)
}
