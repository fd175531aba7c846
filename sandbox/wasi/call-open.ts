import type { CallContext, Calls } from './calls.js'
import { FD_FLAGS, type FolderDescriptor } from './descriptors.js'
import { ERRNO, refuse } from './errno.js'
import { FILE_TYPE, type FileNode, type FolderNode } from './node.js'
import { type PathEnd, resolvePath } from './path.js'
import { CHANGING_RIGHTS, FILE_RIGHTS, FOLDER_RIGHTS, RIGHT, rightsFrom } from './rights.js'

/** `oflags` of preview 1. */
const OPEN = { create: 1, directory: 2, exclusive: 4, truncate: 8 } as const
const OPEN_FLAGS = 15
/** `lookupflags` of preview 1. */
export const FOLLOW_LINKS = 1

/** `path_open`. */
export function openCalls({ memory, descriptors, tree, spend }: CallContext): Calls {
  const createFile = (place: PathEnd, flags: number): FileNode => {
    if ((flags & OPEN.create) === 0) refuse(ERRNO.noent)
    if ((flags & OPEN.directory) !== 0) refuse(ERRNO.inval)
    if (place.folderOnly) refuse(ERRNO.isdir)
    return tree.createFile(place.entry ?? refuse(ERRNO.isdir))
  }
  const openFile = (node: FileNode, flags: number, wanted: number, base: FolderDescriptor): FileNode => {
    if ((flags & OPEN.directory) !== 0) refuse(ERRNO.notdir)
    if ((wanted & RIGHT.fdWrite) !== 0 || (flags & OPEN.truncate) !== 0) node.area.assertWritable()
    if ((flags & OPEN.truncate) !== 0) {
      if ((base.rights & RIGHT.pathFilestatSetSize) === 0) refuse(ERRNO.notcapable)
      tree.resize(node, 0)
    }
    return node
  }
  return {
    path_open(
      fd: number,
      lookupFlags: number,
      pathAt: number,
      pathLength: number,
      openFlags: number,
      rights: bigint,
      inherited: bigint,
      flags: number,
      openedAt: number,
    ) {
      const base = descriptors.folder(fd)
      memory.bytes(openedAt, 4)
      if ((openFlags & ~OPEN_FLAGS) !== 0 || (flags & ~FD_FLAGS) !== 0) refuse(ERRNO.inval)
      // Before anything is created: a call that fails changes nothing.
      descriptors.nextNumber()
      const mustBeNew = (openFlags & OPEN.create) !== 0 && (openFlags & OPEN.exclusive) !== 0
      const place = resolvePath(
        base.node,
        memory.path(pathAt, pathLength),
        (lookupFlags & FOLLOW_LINKS) !== 0 && !mustBeNew,
        spend,
      )
      const wanted = rightsFrom(rights) & base.inherited
      const existing = place.node
      if (existing !== undefined && mustBeNew) refuse(ERRNO.exist)
      if (existing?.type === FILE_TYPE.symbolicLink) refuse(ERRNO.loop)
      if (existing?.type === FILE_TYPE.directory) {
        const changes = (wanted & RIGHT.fdWrite) !== 0 || (openFlags & (OPEN.create | OPEN.truncate)) !== 0
        if (changes) refuse(ERRNO.isdir)
        const granted = allowed(existing, FOLDER_RIGHTS)
        const number = descriptors.add({
          type: 'folder',
          node: existing,
          preopen: undefined,
          listing: undefined,
          rights: wanted & granted,
          inherited: rightsFrom(inherited) & base.inherited,
          flags,
        })
        memory.setU32(openedAt, number)
        return
      }
      const node = existing === undefined ? createFile(place, openFlags) : openFile(existing, openFlags, wanted, base)
      const granted = wanted & allowed(node, FILE_RIGHTS)
      memory.setU32(
        openedAt,
        descriptors.add({ type: 'file', node, position: 0, rights: granted, inherited: 0, flags }),
      )
    },
  }
}

/** Rights that a node of this kind can have where it lies. */
export function allowed(node: FileNode | FolderNode, ofItsType: number): number {
  return node.area.rules.readOnly ? ofItsType & ~CHANGING_RIGHTS : ofItsType
}
