import type { CallContext, Calls } from './calls.js'
import { FD_FLAGS, fileTypeOf } from './descriptors.js'
import { ERRNO, refuse } from './errno.js'
import { OFFSET_MAX } from './limits.js'
import { RIGHT, rightsFrom } from './rights.js'
import { setTimes, writeFilestat } from './stat.js'

const OFFSET_LIMIT = BigInt(OFFSET_MAX)
const ADVICE_MAX = 5

/** A length or offset of the program as a number; `EINVAL` beyond `OFFSET_MAX`. */
export function offsetFrom(value: bigint): number {
  const unsigned = BigInt.asUintN(64, value)
  if (unsigned > OFFSET_LIMIT) refuse(ERRNO.inval)
  return Number(unsigned)
}

/** State of open descriptors: numbers, flags, rights, sizes and times. */
export function descriptorCalls({ memory, descriptors, tree, clock }: CallContext): Calls {
  return {
    fd_close: (fd: number) => descriptors.close(fd),
    fd_renumber: (from: number, to: number) => descriptors.renumber(from, to),
    fd_datasync: (fd: number) => void descriptors.get(fd),
    fd_sync: (fd: number) => void descriptors.get(fd),
    fd_advise(fd: number, offset: bigint, length: bigint, advice: number) {
      const descriptor = descriptors.get(fd)
      if (descriptor.type === 'folder') refuse(ERRNO.badf)
      if (descriptor.type !== 'file') refuse(ERRNO.spipe)
      if (advice >>> 0 > ADVICE_MAX) refuse(ERRNO.inval)
      offsetFrom(offset)
      offsetFrom(length)
    },
    fd_allocate(fd: number, offset: bigint, length: bigint) {
      const descriptor = descriptors.get(fd)
      if (descriptor.type !== 'file' || (descriptor.rights & RIGHT.fdWrite) === 0) refuse(ERRNO.badf)
      const size = offsetFrom(length)
      if (size === 0) refuse(ERRNO.inval)
      const end = offsetFrom(offset) + size
      if (end > descriptor.node.bytes.length) tree.resize(descriptor.node, end)
    },
    fd_fdstat_get(fd: number, at: number) {
      const descriptor = descriptors.get(fd)
      memory.bytes(at, 24).fill(0)
      memory.setU8(at, fileTypeOf(descriptor))
      memory.setU16((at >>> 0) + 2, descriptor.flags)
      memory.setU64((at >>> 0) + 8, BigInt(descriptor.rights))
      memory.setU64((at >>> 0) + 16, BigInt(descriptor.inherited))
    },
    fd_fdstat_set_flags(fd: number, flags: number) {
      const descriptor = descriptors.get(fd)
      if ((flags & ~FD_FLAGS) !== 0) refuse(ERRNO.inval)
      descriptor.flags = flags
    },
    fd_fdstat_set_rights(fd: number, rights: bigint, inherited: bigint) {
      const descriptor = descriptors.get(fd)
      const isSubset = (wanted: bigint, held: number) =>
        BigInt.asUintN(64, wanted) < 1n << 30n && (rightsFrom(wanted) & ~held) === 0
      if (!isSubset(rights, descriptor.rights) || !isSubset(inherited, descriptor.inherited)) refuse(ERRNO.notcapable)
      descriptor.rights = rightsFrom(rights)
      descriptor.inherited = rightsFrom(inherited)
    },
    fd_filestat_get(fd: number, at: number) {
      const descriptor = descriptors.get(fd)
      const hasNode = descriptor.type === 'file' || descriptor.type === 'folder'
      writeFilestat(memory, at, hasNode ? descriptor.node : undefined)
    },
    fd_filestat_set_size(fd: number, size: bigint) {
      const descriptor = descriptors.file(fd, ERRNO.inval)
      if ((descriptor.rights & (RIGHT.fdWrite | RIGHT.fdFilestatSetSize)) === 0) refuse(ERRNO.inval)
      tree.resize(descriptor.node, offsetFrom(size))
    },
    fd_filestat_set_times(fd: number, accessedAt: bigint, modifiedAt: bigint, flags: number) {
      const descriptor = descriptors.get(fd)
      if (descriptor.type !== 'file' && descriptor.type !== 'folder') refuse(ERRNO.perm)
      setTimes(descriptor.node, accessedAt, modifiedAt, flags, clock.realtime)
    },
  }
}
