import { offsetFrom } from './call-descriptor.js'
import type { CallContext, Calls } from './calls.js'
import { type Descriptor, FD_FLAG } from './descriptors.js'
import { ERRNO, refuse } from './errno.js'
import { BYTES_PER_FUEL, OFFSET_MAX } from './limits.js'
import type { Pieces } from './memory.js'
import { RIGHT } from './rights.js'

const WHENCE = { set: 0, current: 1, end: 2 } as const

/** Reading, writing and seeking. */
export function fileCalls({ memory, descriptors, tree, spend }: CallContext): Calls {
  const charge = (bytes: number) => spend(Math.ceil(bytes / BYTES_PER_FUEL))
  const readable = (fd: number): Descriptor => {
    const descriptor = descriptors.get(fd)
    if (descriptor.type === 'folder') refuse(ERRNO.isdir)
    if ((descriptor.rights & RIGHT.fdRead) === 0) refuse(ERRNO.badf)
    return descriptor
  }
  const writable = (fd: number): Descriptor => {
    const descriptor = descriptors.get(fd)
    if (descriptor.type === 'folder') refuse(ERRNO.isdir)
    if ((descriptor.rights & RIGHT.fdWrite) === 0) refuse(ERRNO.badf)
    return descriptor
  }
  const seek = (fd: number, offset: bigint, whence: number, positionAt: number) => {
    const descriptor = descriptors.file(fd, ERRNO.spipe)
    const base = seekBase(descriptor.position, descriptor.node.bytes.length, whence)
    const position = BigInt(base) + BigInt.asIntN(64, offset)
    if (position < 0n || position > BigInt(OFFSET_MAX)) refuse(ERRNO.inval)
    memory.setU64(positionAt, position)
    descriptor.position = Number(position)
  }
  return {
    fd_read(fd: number, piecesAt: number, count: number, readAt: number) {
      const descriptor = readable(fd)
      const pieces = memory.pieces(piecesAt, count)
      memory.bytes(readAt, 4)
      if (descriptor.type !== 'input' && descriptor.type !== 'file') refuse(ERRNO.badf)
      const bytes = descriptor.type === 'input' ? descriptor.bytes : descriptor.node.bytes
      const read = fill(pieces, (target, done) => bytes.read(target, descriptor.position + done))
      charge(read)
      descriptor.position += read
      memory.setU32(readAt, read)
    },
    fd_pread(fd: number, piecesAt: number, count: number, offset: bigint, readAt: number) {
      readable(fd)
      const { node } = descriptors.file(fd, ERRNO.spipe)
      const pieces = memory.pieces(piecesAt, count)
      memory.bytes(readAt, 4)
      const start = offsetFrom(offset)
      const read = fill(pieces, (target, done) => node.bytes.read(target, start + done))
      charge(read)
      memory.setU32(readAt, read)
    },
    fd_write(fd: number, piecesAt: number, count: number, writtenAt: number) {
      const descriptor = writable(fd)
      const { parts, length } = memory.pieces(piecesAt, count)
      memory.bytes(writtenAt, 4)
      charge(length)
      if (descriptor.type === 'output') descriptor.write(parts, length)
      else if (descriptor.type === 'file') {
        const appends = (descriptor.flags & FD_FLAG.append) !== 0
        const at = appends ? descriptor.node.bytes.length : descriptor.position
        tree.write(descriptor.node, parts, length, at)
        descriptor.position = at + length
      } else refuse(ERRNO.badf)
      memory.setU32(writtenAt, length)
    },
    fd_pwrite(fd: number, piecesAt: number, count: number, offset: bigint, writtenAt: number) {
      writable(fd)
      const { node, flags } = descriptors.file(fd, ERRNO.spipe)
      const { parts, length } = memory.pieces(piecesAt, count)
      memory.bytes(writtenAt, 4)
      charge(length)
      // As on Linux, a file opened for appending is appended to, whatever the offset.
      const start = offsetFrom(offset)
      tree.write(node, parts, length, (flags & FD_FLAG.append) !== 0 ? node.bytes.length : start)
      memory.setU32(writtenAt, length)
    },
    fd_seek: seek,
    fd_tell: (fd: number, positionAt: number) => seek(fd, 0n, WHENCE.current, positionAt),
  }
}

/** Reads into one piece after the other until one is not filled. Gives the bytes read. */
function fill(pieces: Pieces, read: (target: Uint8Array, done: number) => number): number {
  let done = 0
  for (const part of pieces.parts) {
    const count = read(part, done)
    done += count
    if (count < part.length) break
  }
  return done
}

function seekBase(position: number, length: number, whence: number): number {
  if (whence === WHENCE.set) return 0
  if (whence === WHENCE.current) return position
  return whence === WHENCE.end ? length : refuse(ERRNO.inval)
}
