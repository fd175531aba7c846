import { fileNameProblem } from '../../proto/file-name.js'
import type { Area } from './area.js'
import { ByteStore, type StoredBytes } from './byte-store.js'
import { ERRNO, refuse } from './errno.js'
import { NAME_FUEL, NODES_MAX } from './limits.js'
import { type Birth, below, FILE_TYPE, FileNode, FolderNode, LinkNode, pathInArea, type TreeNode } from './node.js'

/** A name in a folder; the folder is never the root, which only shows another. */
export interface Entry {
  readonly folder: FolderNode
  readonly name: string
}

/**
 * Files, folders and links of one unit, with their quotas. Callers have resolved paths and checked types; the tree
 * checks what an area allows (`EROFS`, `EINVAL` for a name that cannot be packed, `ENOTSUP` for a link there, `ENOSPC`).
 * Nodes are numbered in the order of their creation, so the same program sees the same numbers everywhere.
 */
export class FileTree {
  readonly #now: () => bigint
  readonly #spend: (fuel: number) => void
  #nextInode = 1
  #nodes = 0

  /** `now`: time of new and changed nodes, ns since 1970. `spend` is called for work that grows with the tree. */
  constructor(now: () => bigint, spend: (fuel: number) => void) {
    this.#now = now
    this.#spend = spend
  }

  /** A folder that no other contains. */
  rootFolder(area: Area, mounts?: ReadonlyMap<string, FolderNode>, shows?: FolderNode): FolderNode {
    return new FolderNode(this.#birth(area), mounts, shows)
  }

  /** Puts an input file or folder where the host wants it; no quota and no rule applies. */
  placeFile({ folder, name }: Entry, bytes: StoredBytes): void {
    folder.entries.set(name, new FileNode(this.#birth(folder.area), bytes))
  }

  placeFolder(entry: Entry): FolderNode {
    const folder = this.rootFolder(entry.folder.area)
    folder.parent = entry
    entry.folder.entries.set(entry.name, folder)
    return folder
  }

  createFile(entry: Entry): FileNode {
    const { area } = entry.folder
    this.#assertCanCreate(entry)
    area.takeFile()
    this.#nodes++
    const file = new FileNode(this.#birth(area), new ByteStore())
    this.#attach(entry, file)
    return file
  }

  createFolder(entry: Entry): FolderNode {
    this.#assertCanCreate(entry)
    this.#nodes++
    const folder = this.placeFolder(entry)
    this.#touch(entry.folder)
    return folder
  }

  createLink(entry: Entry, target: string): void {
    this.#assertCanCreate(entry)
    const { area } = entry.folder
    if (area.rules.packed) refuse(ERRNO.notsup)
    area.take(target.length)
    this.#nodes++
    this.#attach(entry, new LinkNode(this.#birth(area), target))
  }

  /** Gives a file another name in the same area. */
  addName(entry: Entry, node: FileNode | LinkNode): void {
    this.#assertCanCreate(entry)
    if (entry.folder.area !== node.area) refuse(ERRNO.xdev)
    if (node.area.rules.packed) refuse(ERRNO.notsup)
    node.links++
    node.changedAt = this.#now()
    this.#attach(entry, node)
  }

  /** Takes the name away; bytes are given back when no descriptor holds the node either. */
  remove({ folder, name }: Entry, node: TreeNode): void {
    folder.area.assertWritable()
    folder.entries.delete(name)
    this.#touch(folder)
    node.links--
    if (node.type === FILE_TYPE.directory) node.parent = undefined
    this.release(node)
  }

  /** To be called when a descriptor is closed, and when a name is gone. */
  release(node: TreeNode): void {
    if (node.links > 0 || node.opens > 0) return
    this.#nodes--
    if (node.type === FILE_TYPE.regularFile) {
      node.area.take(-node.bytes.length)
      node.area.giveFile()
    } else if (node.type === FILE_TYPE.symbolicLink) node.area.take(-node.target.length)
  }

  /**
   * Moves `node`, which `from` names, to `to`, replacing what is there. A file may move between areas, taking its bytes
   * along; a folder may not (`EXDEV`). The caller has made sure that neither lies below the other.
   */
  move(from: Entry, node: TreeNode, to: Entry, replaced: TreeNode | undefined): void {
    from.folder.area.assertWritable()
    to.folder.area.assertWritable()
    this.#assertPackable(to, node)
    const target = to.folder.area
    if (node.area !== target) {
      if (node.type === FILE_TYPE.directory) refuse(ERRNO.xdev)
      this.#changeArea(node, target)
    }
    if (replaced !== undefined) this.remove(to, replaced)
    from.folder.entries.delete(from.name)
    this.#touch(from.folder)
    if (node.type === FILE_TYPE.directory) node.parent = to
    node.changedAt = this.#now()
    this.#attach(to, node)
  }

  /** Writes at `at`, extending the file; takes room first, so that a refused write changes nothing. */
  write(file: FileNode, parts: readonly Uint8Array[], length: number, at: number): void {
    const bytes = this.#writable(file)
    if (length === 0) return
    file.area.take(Math.max(0, at + length - bytes.length))
    let offset = at
    for (const part of parts) {
      bytes.write(part, offset)
      offset += part.length
    }
    file.modifiedAt = this.#now()
  }

  resize(file: FileNode, length: number): void {
    const bytes = this.#writable(file)
    file.area.take(length - bytes.length)
    bytes.resize(length)
    file.modifiedAt = this.#now()
  }

  #writable(file: FileNode): ByteStore {
    file.area.assertWritable()
    if (!(file.bytes instanceof ByteStore)) return refuse(ERRNO.rofs)
    return file.bytes
  }

  /** Room is taken before any is given back, what is replaced included: a refused move changes nothing. */
  #changeArea(node: FileNode | LinkNode, target: Area): void {
    if (node.links > 1) refuse(ERRNO.xdev)
    const isFile = node.type === FILE_TYPE.regularFile
    const size = isFile ? node.bytes.length : node.target.length
    if (isFile) target.takeFile()
    target.take(size)
    if (isFile) node.area.giveFile()
    node.area.take(-size)
    node.area = target
  }

  #assertCanCreate(entry: Entry): void {
    const { folder } = entry
    folder.area.assertWritable()
    if (folder.links === 0) refuse(ERRNO.noent)
    if (this.#nodes >= NODES_MAX) refuse(ERRNO.nospc)
    if (folder.area.rules.packed) assertNameCanBePacked(below(pathInArea(folder), entry.name))
  }

  /** A node that moves must be packable, with all below it, where it goes. */
  #assertPackable({ folder, name }: Entry, node: TreeNode): void {
    if (folder.links === 0) refuse(ERRNO.noent)
    if (!folder.area.rules.packed) return
    if (node.type === FILE_TYPE.symbolicLink) refuse(ERRNO.notsup)
    const open: [node: TreeNode, path: string][] = [[node, below(pathInArea(folder), name)]]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const [at, path] = next
      this.#spend(NAME_FUEL)
      assertNameCanBePacked(path)
      if (at.type === FILE_TYPE.directory) for (const [part, inner] of at.entries) open.push([inner, below(path, part)])
    }
  }

  #attach({ folder, name }: Entry, node: TreeNode): void {
    folder.entries.set(name, node)
    this.#touch(folder)
  }

  #touch(folder: FolderNode): void {
    folder.sorted = undefined
    folder.modifiedAt = this.#now()
    folder.changedAt = folder.modifiedAt
  }

  #birth(area: Area): Birth {
    return { inode: this.#nextInode++, at: this.#now(), area }
  }
}

function assertNameCanBePacked(path: string): void {
  if (fileNameProblem(path) !== undefined) refuse(ERRNO.inval)
}
