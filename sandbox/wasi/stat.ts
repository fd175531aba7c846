import { utf8 } from '../../runtime/hex.js'
import { ERRNO, refuse } from './errno.js'
import type { GuestMemory } from './memory.js'
import { FILE_TYPE, type TreeNode } from './node.js'

/** `filestat` of preview 1. */
const FILESTAT_BYTES = 64
/** The one device that there is. */
const DEVICE = 1n
/** `fstflags` of preview 1. */
const SET_ACCESSED = 1
const SET_ACCESSED_NOW = 2
const SET_MODIFIED = 4
const SET_MODIFIED_NOW = 8
const SET_FLAGS = 15

/** Writes the `filestat` of `node`, or that of a standard stream. */
export function writeFilestat(memory: GuestMemory, at: number, node: TreeNode | undefined): void {
  memory.bytes(at, FILESTAT_BYTES).fill(0)
  const start = at >>> 0
  if (node === undefined) {
    memory.setU64(start + 24, 1n)
    return
  }
  memory.setU64(start, DEVICE)
  memory.setU64(start + 8, BigInt(node.inode))
  memory.setU8(start + 16, node.type)
  memory.setU64(start + 24, BigInt(node.links))
  memory.setU64(start + 32, BigInt(sizeOf(node)))
  memory.setU64(start + 40, node.accessedAt)
  memory.setU64(start + 48, node.modifiedAt)
  memory.setU64(start + 56, node.changedAt)
}

/** Sets the times of `node` as `fstflags` say; `EINVAL` for flags that contradict each other, `EROFS` for inputs. */
export function setTimes(node: TreeNode, accessedAt: bigint, modifiedAt: bigint, flags: number, now: bigint): void {
  const both = (a: number, b: number) => (flags & a) !== 0 && (flags & b) !== 0
  if ((flags & ~SET_FLAGS) !== 0) refuse(ERRNO.inval)
  if (both(SET_ACCESSED, SET_ACCESSED_NOW) || both(SET_MODIFIED, SET_MODIFIED_NOW)) refuse(ERRNO.inval)
  node.area.assertWritable()
  if ((flags & SET_ACCESSED) !== 0) node.accessedAt = BigInt.asUintN(64, accessedAt)
  if ((flags & SET_ACCESSED_NOW) !== 0) node.accessedAt = now
  if ((flags & SET_MODIFIED) !== 0) node.modifiedAt = BigInt.asUintN(64, modifiedAt)
  if ((flags & SET_MODIFIED_NOW) !== 0) node.modifiedAt = now
  node.changedAt = now
}

function sizeOf(node: TreeNode): number {
  if (node.type === FILE_TYPE.regularFile) return node.bytes.length
  return node.type === FILE_TYPE.symbolicLink ? utf8(node.target).length : 0
}
