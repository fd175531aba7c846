import { utf8 } from '../../runtime/hex.js'
import { ERRNO, refuse } from './errno.js'
import { LINKS_FOLLOWED_MAX, NAME_BYTES_MAX, NAME_FUEL } from './limits.js'
import { textOf } from './memory.js'
import { child, FILE_TYPE, type FolderNode, type TreeNode } from './node.js'

/** Where a path leads. */
export interface PathEnd {
  /** What is there, if anything. A symbolic link only where links are not followed. */
  readonly node: TreeNode | undefined
  /** The entry that the path names; `undefined` for `.`, `..` and the folders of the root, which have none to change. */
  readonly entry: { readonly folder: FolderNode; readonly name: string } | undefined
  /** The path ends in `/`: only a folder is meant. */
  readonly folderOnly: boolean
}

/** UTF-16 units never take more bytes than this in UTF-8. */
const BYTES_PER_UNIT = 3

/**
 * Follows `path` from `base` as POSIX does, and never above it: absolute paths and a `..` too many are `ENOTCAPABLE`,
 * also inside symbolic links. A link in the last part is followed if `follow`, or if a `/` comes after it.
 * Charges `NAME_FUEL` for each part. Errors: `ENOENT`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`, `ENOTCAPABLE`.
 */
export function resolvePath(base: FolderNode, path: string, follow: boolean, spend: (fuel: number) => void): PathEnd {
  if (path === '') refuse(ERRNO.noent)
  let folderOnly = path.endsWith('/')
  const parts = partsOf(path)
  spend(NAME_FUEL * parts.length)
  const folders = [base]
  let followed = 0
  for (;;) {
    const part = parts.pop()
    const folder = folders.at(-1) as FolderNode
    if (part === undefined) return { node: folder, entry: undefined, folderOnly }
    if (part === '.') continue
    if (part === '..') {
      if (folders.length === 1) refuse(ERRNO.notcapable)
      folders.pop()
      continue
    }
    assertName(part)
    const node = child(folder, part)
    const last = parts.length === 0
    if (node?.type === FILE_TYPE.symbolicLink && (!last || follow || folderOnly)) {
      if (++followed > LINKS_FOLLOWED_MAX) refuse(ERRNO.loop)
      if (last && node.target.endsWith('/')) folderOnly = true
      const targetParts = partsOf(node.target)
      spend(NAME_FUEL * targetParts.length)
      parts.push(...targetParts)
      continue
    }
    if (last) {
      if (node !== undefined && folderOnly && node.type !== FILE_TYPE.directory) refuse(ERRNO.notdir)
      const isMount = folder.mounts.has(part)
      return { node, entry: isMount ? undefined : { folder: folder.shows ?? folder, name: ownName(part) }, folderOnly }
    }
    if (node === undefined) refuse(ERRNO.noent)
    if (node.type !== FILE_TYPE.directory) refuse(ERRNO.notdir)
    folders.push(node)
  }
}

/** Parts in reverse order, so that the next one is taken from the end. */
function partsOf(path: string): string[] {
  if (path.startsWith('/')) refuse(ERRNO.notcapable)
  return path
    .split('/')
    .filter((part) => part !== '')
    .reverse()
}

/** `part` in memory of its own: engines keep the whole path, which may be much longer, for what was cut out of it. */
function ownName(part: string): string {
  return textOf(utf8(part))
}

function assertName(name: string): void {
  if (name.length * BYTES_PER_UNIT <= NAME_BYTES_MAX) return
  if (utf8(name).length > NAME_BYTES_MAX) refuse(ERRNO.nametoolong)
}
