import type { StoredBytes } from './byte-store.js'
import { ERRNO, refuse } from './errno.js'
import { DESCRIPTORS_MAX } from './limits.js'
import { FILE_TYPE, type FileNode, type FolderNode } from './node.js'

/** `fdflags` of preview 1. */
export const FD_FLAG = { append: 1, dsync: 2, nonblock: 4, rsync: 8, sync: 16 } as const
/** All of {@link FD_FLAG}. */
export const FD_FLAGS = 31

interface DescriptorBase {
  /** What calls may do with it; see `rights.ts`. Can only shrink. */
  rights: number
  /** What is passed on to descriptors opened below it. */
  inherited: number
  /** `fdflags`. */
  flags: number
}

/** Standard input. */
interface InputDescriptor extends DescriptorBase {
  readonly type: 'input'
  readonly bytes: StoredBytes
  position: number
}

/** Standard output or error. */
interface OutputDescriptor extends DescriptorBase {
  readonly type: 'output'
  /** Takes the pieces of one write, `length` bytes in all. */
  readonly write: (parts: readonly Uint8Array[], length: number) => void
}

/** An open file. */
interface FileDescriptor extends DescriptorBase {
  readonly type: 'file'
  readonly node: FileNode
  /** At most `OFFSET_MAX`. */
  position: number
}

/** An open folder. */
export interface FolderDescriptor extends DescriptorBase {
  readonly type: 'folder'
  readonly node: FolderNode
  /** Name under which the program finds it at its start. */
  readonly preopen: string | undefined
  /** Names as they were when listing began, so that files can be removed while they are listed. */
  listing: readonly string[] | undefined
}

/** What a number of the program stands for. */
export type Descriptor = InputDescriptor | OutputDescriptor | FileDescriptor | FolderDescriptor

/** Open descriptors by number; a new one gets the lowest that is free. */
export class DescriptorTable {
  readonly #open: (Descriptor | undefined)[] = []
  readonly #released: (node: FileNode | FolderNode) => void

  /** `released` is called for the node of each descriptor that is closed, after its count went down. */
  constructor(released: (node: FileNode | FolderNode) => void) {
    this.#released = released
  }

  /** Names in the listings of all open folders. */
  get listedNames(): number {
    return this.#open.reduce((sum, one) => sum + (one?.type === 'folder' ? (one.listing?.length ?? 0) : 0), 0)
  }

  /** The number that the next descriptor gets; `EMFILE` if all are taken. */
  nextNumber(): number {
    const free = this.#open.indexOf(undefined)
    const number = free < 0 ? this.#open.length : free
    return number < DESCRIPTORS_MAX ? number : refuse(ERRNO.mfile)
  }

  /** Gives the number; `EMFILE` if all are taken. */
  add(descriptor: Descriptor): number {
    const number = this.nextNumber()
    this.#open[number] = descriptor
    if (descriptor.type === 'file' || descriptor.type === 'folder') descriptor.node.opens++
    return number
  }

  /** Any open descriptor; `EBADF` otherwise. */
  get(number: number): Descriptor {
    return this.#open[number] ?? refuse(ERRNO.badf)
  }

  /** An open file; `EISDIR` for a folder, `badStream` for a standard stream. */
  file(number: number, badStream: typeof ERRNO.spipe | typeof ERRNO.inval): FileDescriptor {
    const descriptor = this.get(number)
    if (descriptor.type === 'file') return descriptor
    return refuse(descriptor.type === 'folder' ? ERRNO.isdir : badStream)
  }

  /** An open folder; `ENOTDIR` for anything else. */
  folder(number: number): FolderDescriptor {
    const descriptor = this.get(number)
    return descriptor.type === 'folder' ? descriptor : refuse(ERRNO.notdir)
  }

  close(number: number): void {
    const descriptor = this.get(number)
    this.#open[number] = undefined
    if (descriptor.type !== 'file' && descriptor.type !== 'folder') return
    descriptor.node.opens--
    this.#released(descriptor.node)
  }

  /** `from` becomes `to`, which is closed; both must be open. */
  renumber(from: number, to: number): void {
    const descriptor = this.get(from)
    this.get(to)
    if (from === to) return
    this.close(to)
    this.#open[from] = undefined
    this.#open[to] = descriptor
  }
}

/** File type of what a descriptor stands for. */
export function fileTypeOf(descriptor: Descriptor) {
  return descriptor.type === 'file' || descriptor.type === 'folder' ? descriptor.node.type : FILE_TYPE.unknown
}
