import { compareFileNames } from '../../proto/file-name.js'
import { OUTPUT_FILES_MAX } from '../../proto/limits.js'
import { Area } from './area.js'
import { ByteStore, FixedBytes, type StoredBytes } from './byte-store.js'
import { allowed } from './call-open.js'
import { ERRNO, refuse } from './errno.js'
import type { WasiHost } from './host.js'
import { NODES_MAX } from './limits.js'
import { below, FILE_TYPE, type FolderNode } from './node.js'
import { FOLDER_RIGHTS, INHERITED_RIGHTS, RIGHT, STREAM_RIGHTS } from './rights.js'
import { Stop } from './stop.js'

/** What a program reads, and how much it may write. Bytes. */
export interface LayoutInput {
  readonly stdin: Uint8Array
  /** Files of `/in` by name; `a/b` lies in a folder. Not copied. */
  readonly files: ReadonlyMap<string, StoredBytes>
  /** Standard output and the files of `/out` together. More ends the program. */
  readonly outputBytes: number
  /** Kept of standard error; the rest is counted. */
  readonly stderrBytes: number
  /** Files of `/tmp` together. More is `ENOSPC`. */
  readonly temporaryBytes: number
}

/** What a program left. */
export interface LayoutOutput {
  readonly stdout: Uint8Array
  /** The first `stderrBytes` of standard error. */
  readonly stderr: Uint8Array
  /** Bytes written to standard error in all. */
  readonly stderrLength: number
  /** Files of `/out` by name, ascending. */
  readonly files: ReadonlyMap<string, Uint8Array>
}

/**
 * Opens what every program finds: 0, 1 and 2 are streams; 3 is `/`, the working folder, which shows the files of `/out` and
 * the folders `in`, `out` and `tmp`; 4 is `/in`, 5 is `/out`, 6 is `/tmp`. Gives a function that collects what
 * the program left, whenever it is called.
 */
export function openLayout(host: WasiHost, input: LayoutInput): () => LayoutOutput {
  const { tree, descriptors } = host
  const stdout = new ByteStore()
  const stderr = new ByteStore()
  let stderrLength = 0
  const inputs = new Area({ readOnly: true, packed: false, filesMax: 0, bytesMax: 0, onFull: () => refuse(ERRNO.rofs) })
  const outputs = new Area({
    readOnly: false,
    packed: true,
    filesMax: OUTPUT_FILES_MAX,
    bytesMax: input.outputBytes,
    onFull: () => {
      throw new Stop({ type: 'output' })
    },
  })
  const temporary = new Area({
    readOnly: false,
    packed: false,
    filesMax: NODES_MAX,
    bytesMax: input.temporaryBytes,
    onFull: () => refuse(ERRNO.nospc),
  })
  const inFolder = tree.rootFolder(inputs)
  const outFolder = tree.rootFolder(outputs)
  const tmpFolder = tree.rootFolder(temporary)
  const mounts = new Map([
    ['in', inFolder],
    ['out', outFolder],
    ['tmp', tmpFolder],
  ])
  const root = tree.rootFolder(outputs, mounts, outFolder)
  placeInputs(host, inFolder, input.files)

  const stream = { inherited: 0, flags: 0 }
  const readRights = STREAM_RIGHTS | RIGHT.fdRead
  const writeRights = STREAM_RIGHTS | RIGHT.fdWrite
  descriptors.add({ ...stream, type: 'input', rights: readRights, bytes: new FixedBytes(input.stdin), position: 0 })
  descriptors.add({
    ...stream,
    type: 'output',
    rights: writeRights,
    write(parts, length) {
      outputs.take(length)
      for (const part of parts) stdout.write(part, stdout.length)
    },
  })
  descriptors.add({
    ...stream,
    type: 'output',
    rights: writeRights,
    write(parts, length) {
      stderrLength += length
      for (const part of parts) {
        const room = input.stderrBytes - stderr.length
        if (room <= 0) break
        stderr.write(part.subarray(0, room), stderr.length)
      }
    },
  })
  for (const [name, node] of [
    ['/', root],
    ['/in', inFolder],
    ['/out', outFolder],
    ['/tmp', tmpFolder],
  ] as const)
    openFolder(host, name, node)

  return () => ({
    stdout: stdout.toBytes(),
    stderr: stderr.toBytes(),
    stderrLength,
    files: collect(outFolder),
  })
}

/** Opens `node` as a folder that the program finds at its start as `name`. */
export function openFolder(host: WasiHost, name: string, node: FolderNode): void {
  host.descriptors.add({
    type: 'folder',
    node,
    preopen: name,
    listing: undefined,
    rights: allowed(node, FOLDER_RIGHTS),
    inherited: INHERITED_RIGHTS,
    flags: 0,
  })
}

/** Puts `files` below `root`, in the order of their names, so that inode numbers do not depend on how they were handed over. */
function placeInputs(host: WasiHost, root: FolderNode, files: ReadonlyMap<string, StoredBytes>): void {
  for (const [name, bytes] of [...files].sort(([a], [b]) => compareFileNames(a, b))) {
    const parts = name.split('/')
    const last = parts.pop() as string
    let folder = root
    for (const part of parts) {
      const next = folder.entries.get(part) ?? host.tree.placeFolder({ folder, name: part })
      if (next.type !== FILE_TYPE.directory) throw new TypeError(`the input ${name} lies below another input`)
      folder = next
    }
    if (folder.entries.has(last)) throw new TypeError(`two inputs are called ${name}`)
    host.tree.placeFile({ folder, name: last }, bytes)
  }
}

function collect(root: FolderNode): ReadonlyMap<string, Uint8Array> {
  const files: [string, Uint8Array][] = []
  const open: [folder: FolderNode, path: string][] = [[root, '']]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [folder, path] = next
    for (const [name, node] of folder.entries) {
      if (node.type === FILE_TYPE.directory) open.push([node, below(path, name)])
      else if (node.type === FILE_TYPE.regularFile && node.bytes instanceof ByteStore)
        files.push([below(path, name), node.bytes.toBytes()])
    }
  }
  return new Map(files.sort(([a], [b]) => compareFileNames(a, b)))
}
