import { compareFileNames } from '../../proto/file-name.js'
import type { Area } from './area.js'
import type { StoredBytes } from './byte-store.js'

/** File types of preview 1 that exist here. A stream (`unknown`) is neither seekable nor a terminal: a pipe. */
export const FILE_TYPE = { unknown: 0, directory: 3, regularFile: 4, symbolicLink: 7 } as const

/** What a new node is given. */
export interface Birth {
  /** Its number, in the order of creation from 1. */
  readonly inode: number
  /** Unit: ns since 1970. */
  readonly at: bigint
  readonly area: Area
}

/** What files, folders and links have in common. */
class NodeBase {
  readonly inode: number
  /** Names that it has; a folder has 1 until it is removed. */
  links = 1
  /** Descriptors that hold it open; without names and these its room is given back. */
  opens = 0
  /** Unit: ns since 1970. */
  accessedAt: bigint
  modifiedAt: bigint
  changedAt: bigint
  /** Moves with the node from folder to folder. */
  area: Area

  constructor({ inode, at, area }: Birth) {
    this.inode = inode
    this.accessedAt = at
    this.modifiedAt = at
    this.changedAt = at
    this.area = area
  }
}

/** A regular file. */
export class FileNode extends NodeBase {
  readonly type = FILE_TYPE.regularFile
  readonly bytes: StoredBytes

  constructor(birth: Birth, bytes: StoredBytes) {
    super(birth)
    this.bytes = bytes
  }
}

/** A symbolic link. */
export class LinkNode extends NodeBase {
  readonly type = FILE_TYPE.symbolicLink
  readonly target: string

  constructor(birth: Birth, target: string) {
    super(birth)
    this.target = target
  }
}

const NO_MOUNTS: ReadonlyMap<string, FolderNode> = new Map()

/** A folder. */
export class FolderNode extends NodeBase {
  readonly type = FILE_TYPE.directory
  readonly entries = new Map<string, TreeNode>()
  /** Where it lies; `undefined` for the roots of areas and for removed folders. */
  parent: { readonly folder: FolderNode; readonly name: string } | undefined = undefined
  /** Names in order, until the next change. */
  sorted: readonly string[] | undefined = undefined
  /** Only of the root: folders that hide entries of the same name. */
  readonly mounts: ReadonlyMap<string, FolderNode>
  /** Only of the root: the folder whose entries are shown, and in which new ones are made. */
  readonly shows: FolderNode | undefined

  constructor(birth: Birth, mounts = NO_MOUNTS, shows?: FolderNode) {
    super(birth)
    this.mounts = mounts
    this.shows = shows
  }
}

/** Anything with a name. */
export type TreeNode = FileNode | LinkNode | FolderNode

/** The entry of `folder` called `name`. */
export function child(folder: FolderNode, name: string): TreeNode | undefined {
  return folder.mounts.get(name) ?? (folder.shows ?? folder).entries.get(name)
}

/** Names in `folder`, ordered by their bytes. The array is kept until the folder changes: its identity is its version. */
export function sortedNames(folder: FolderNode): readonly string[] {
  if (folder.shows !== undefined) {
    const shown = sortedNames(folder.shows).filter((name) => !folder.mounts.has(name))
    return [...shown, ...folder.mounts.keys()].sort(compareFileNames)
  }
  folder.sorted ??= [...folder.entries.keys()].sort(compareFileNames)
  return folder.sorted
}

/** Path of `folder` from the root of its area: `''`, `'a'`, `'a/b'`. */
export function pathInArea(folder: FolderNode): string {
  const parts: string[] = []
  for (let at = folder.parent; at !== undefined; at = at.folder.parent) parts.unshift(at.name)
  return parts.join('/')
}

/** `name` below a folder at `path`. */
export function below(path: string, name: string): string {
  return path === '' ? name : `${path}/${name}`
}

/** Whether `node` is `folder` or contains it. Charges a step of fuel for each folder on the way up. */
export function isAbove(node: TreeNode, folder: FolderNode, spend: (fuel: number) => void): boolean {
  for (let at: FolderNode | undefined = folder; at !== undefined; at = at.parent?.folder) {
    spend(1)
    if (at === node) return true
  }
  return false
}
