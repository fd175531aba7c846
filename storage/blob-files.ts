import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { chunkCount, HASH_BYTES } from '../job/blob.js'
import type { Digest, PublicKey } from '../proto/model.js'
import type { Disk } from '../runtime/disk.js'
import { diskProblem } from '../runtime/disk-problem.js'
import { GridError } from '../runtime/errors.js'
import { makeFolders } from '../runtime/folders.js'
import { fromHex, toHex } from '../runtime/hex.js'
import { OpenFiles } from './open-files.js'

/** `blob`: in chunks, under the digest of {@link BlobRef}; `whole`: in one piece, under the digest that whoever stored it gave. */
export type BlobKind = 'blob' | 'whole'

/** What is known of a stored file without its content. */
export interface BlobEntry {
  readonly kind: BlobKind
  readonly name: Digest
  /** Bytes of content. */
  readonly size: number
  readonly submitter: PublicKey
  readonly keepUntilMs: number
  readonly pin: boolean
  /** Another key than the submitter's has stored it as well. */
  readonly shared: boolean
}

/**
 * Files of a blob store, one a blob: a head, the hashes of the chunks, the content. Versions: a folder
 * ({@link folderBlobFiles}), and for the simulator a `Disk` ({@link diskBlobFiles}). Calls for one entry are not made twice
 * at once, except reads and `writePart` of different places.
 */
export interface BlobFiles {
  /** Content up to this size comes by `write` alone. */
  readonly gatheredBytesMax: number
  /** What is there, the least recently changed first. */
  list(): Promise<{ readonly entry: BlobEntry; readonly complete: boolean }[]>
  /** A complete file at once; durable. */
  write(entry: BlobEntry, hashes: Uint8Array, content: Uint8Array): Promise<void>
  /** A file that is filled by `writePart` and becomes complete, and durable, by `finish`. */
  start(entry: BlobEntry, hashes: Uint8Array): Promise<void>
  writePart(entry: BlobEntry, start: number, bytes: Uint8Array): Promise<void>
  /** Like `read`, of a file not yet complete; zeros where nothing was written. */
  readPart(entry: BlobEntry, start: number, length: number): Promise<Uint8Array>
  finish(entry: BlobEntry): Promise<void>
  hashes(entry: BlobEntry, complete: boolean): Promise<Uint8Array>
  /** Content of a complete file; shorter than asked for when the file was cut. */
  read(entry: BlobEntry, start: number, length: number): Promise<Uint8Array>
  /** Makes the times and the pin of `entry` durable. */
  setKeep(entry: BlobEntry, complete: boolean): Promise<void>
  /** Removes a file, complete or not. */
  remove(entry: BlobEntry): Promise<void>
  /** Lets go of files that are kept open, each once nobody reads it. Safe to call twice. */
  close(): Promise<void>
}

/** "MHBLOB1\n", kind and pin, keep-until and size (doubles, little-endian), submitter. */
const HEAD_BYTES = 64
const MAGIC = new TextEncoder().encode('MHBLOB1\n')
const PART_SUFFIX = '.part'
const DRAFT_SUFFIX = '.draft'
/** Heads read at once when a store starts. */
const LIST_PARALLEL = 16

/** One file a blob below `folder` (0700, files 0600). Rejects with GridError `unavailable` when the disk is full or fails. */
export function folderBlobFiles(folder: string): BlobFiles {
  const path = ({ kind, name }: Pick<BlobEntry, 'kind' | 'name'>) => join(folder, kind, name.slice(0, 2), name)
  const part = (entry: BlobEntry) => path(entry) + PART_SUFFIX
  const contentAt = ({ kind, size }: BlobEntry) => HEAD_BYTES + hashBytes(kind, size)
  const opened = new OpenFiles()
  const known = new Set<string>()
  const makeFolder = async (file: string) => {
    const parent = dirname(file)
    if (known.has(parent)) return
    makeFolders(parent)
    const kind = dirname(parent)
    await syncFolder(kind)
    if (!known.has(kind)) await syncFolder(dirname(kind))
    known.add(kind)
    known.add(parent)
  }
  const list = async (kind: BlobKind) => {
    const entries = await readdir(join(folder, kind), { recursive: true, withFileTypes: true }).catch(() => [])
    const names = entries.filter((entry) => entry.isFile())
    const found: { entry: BlobEntry; complete: boolean; changedAtMs: number }[] = []
    const next = async () => {
      for (let file = names.pop(); file; file = names.pop()) {
        const full = join(file.parentPath, file.name)
        const complete = !file.name.endsWith(PART_SUFFIX)
        const name = (complete ? file.name : file.name.slice(0, -PART_SUFFIX.length)) as Digest
        const read = await withFile(full, 'r', async (handle) => {
          const head = Buffer.alloc(HEAD_BYTES)
          await handle.read(head, 0, HEAD_BYTES, 0)
          const { size, mtimeMs } = await handle.stat()
          return { entry: parseHead(kind, name, head), size, mtimeMs }
        })
        const fits = read.entry && /^[0-9a-f]{64}$/.test(name) && read.size === contentAt(read.entry) + read.entry.size
        // Drafts, and files that something else has cut or written: what they held can be fetched again.
        if (!fits) await rm(full, { force: true })
        else found.push({ entry: read.entry!, complete, changedAtMs: read.mtimeMs })
      }
    }
    await Promise.all(Array.from({ length: LIST_PARALLEL }, next))
    return found
  }

  return guard({
    gatheredBytesMax: 0,
    list: async () => [...(await list('blob')), ...(await list('whole'))].sort((a, b) => a.changedAtMs - b.changedAtMs),
    async write(entry, hashes, content) {
      const file = path(entry)
      await makeFolder(file)
      try {
        await withFile(file + DRAFT_SUFFIX, 'w', async (handle) => {
          await writeAll(handle, [headOf(entry), hashes, content])
          await handle.datasync()
        })
        await rename(file + DRAFT_SUFFIX, file)
        opened.forget(file)
        await syncFolder(dirname(file))
      } catch (error) {
        await rm(file + DRAFT_SUFFIX, { force: true })
        throw error
      }
    },
    async start(entry, hashes) {
      await makeFolder(part(entry))
      await withFile(part(entry), 'w', async (handle) => {
        await writeAll(handle, [headOf(entry), hashes])
        await handle.truncate(contentAt(entry) + entry.size)
      })
    },
    writePart: (entry, start, bytes) =>
      withFile(part(entry), 'r+', async (handle) => {
        for (let done = 0; done < bytes.length; ) {
          done += (await handle.write(bytes, done, bytes.length - done, contentAt(entry) + start + done)).bytesWritten
        }
      }),
    readPart: (entry, start, length) => opened.read(part(entry), contentAt(entry) + start, length),
    async finish(entry) {
      await withFile(part(entry), 'r+', (handle) => handle.sync())
      await rename(part(entry), path(entry))
      opened.forget(part(entry))
      await syncFolder(dirname(path(entry)))
    },
    hashes: (entry, complete) =>
      opened.read(complete ? path(entry) : part(entry), HEAD_BYTES, hashBytes(entry.kind, entry.size)),
    read: (entry, start, length) => opened.read(path(entry), contentAt(entry) + start, length),
    setKeep: (entry, complete) =>
      withFile(complete ? path(entry) : part(entry), 'r+', async (handle) => {
        await handle.write(headOf(entry), 0, HEAD_BYTES, 0)
        await handle.datasync()
      }),
    async remove(entry) {
      for (const file of [path(entry), part(entry)]) {
        await rm(file, { force: true })
        opened.forget(file)
      }
    },
    close: async () => opened.close(),
  })
}

/** One file a blob under `prefix` of a `Disk`; uploads live in memory until complete. */
export function diskBlobFiles(disk: Disk, prefix: string): BlobFiles {
  const path = ({ kind, name }: Pick<BlobEntry, 'kind' | 'name'>) => `${prefix}/${kind}/${name}`
  const load = async (entry: BlobEntry) => {
    const file = await disk.read(path(entry))
    if (!file) throw new GridError('notFound', 'the blob is not here')
    return file
  }
  const never = () => Promise.reject(new GridError('internal', 'uploads are gathered in memory'))
  return {
    gatheredBytesMax: Number.POSITIVE_INFINITY,
    async list() {
      const found: { entry: BlobEntry; complete: boolean }[] = []
      for (const file of await disk.list(`${prefix}/`)) {
        const [kind, name] = file.slice(prefix.length + 1).split('/') as [BlobKind, Digest]
        const entry = parseHead(kind, name, (await disk.read(file)) ?? new Uint8Array(0))
        if (entry) found.push({ entry, complete: true })
      }
      return found
    },
    write: (entry, hashes, content) => disk.write(path(entry), Buffer.concat([headOf(entry), hashes, content])),
    start: never,
    writePart: never,
    readPart: never,
    finish: never,
    hashes: async (entry) => (await load(entry)).subarray(HEAD_BYTES, HEAD_BYTES + hashBytes(entry.kind, entry.size)),
    async read(entry, start, length) {
      const at = HEAD_BYTES + hashBytes(entry.kind, entry.size) + start
      return (await load(entry)).subarray(at, at + length)
    },
    async setKeep(entry) {
      const file = Uint8Array.from(await load(entry))
      file.set(headOf(entry))
      await disk.write(path(entry), file)
    },
    remove: (entry) => disk.remove(path(entry)),
    close: () => Promise.resolve(),
  }
}

function hashBytes(kind: BlobKind, size: number): number {
  return kind === 'blob' ? chunkCount(size) * HASH_BYTES : 0
}

function headOf({ kind, size, submitter, keepUntilMs, pin, shared }: BlobEntry): Uint8Array {
  const head = new Uint8Array(HEAD_BYTES)
  head.set(MAGIC)
  head[8] = kind === 'blob' ? 0 : 1
  head[9] = (pin ? 1 : 0) | (shared ? 2 : 0)
  const view = new DataView(head.buffer)
  view.setFloat64(16, keepUntilMs, true)
  view.setFloat64(24, size, true)
  head.set(fromHex(submitter), 32)
  return head
}

/** What the first bytes of a blob's file say, 64 or more; undefined for a file that is none of that kind. */
export function parseHead(kind: BlobKind, name: Digest, head: Uint8Array): BlobEntry | undefined {
  if (
    head.length < HEAD_BYTES ||
    MAGIC.some((byte, i) => byte !== head[i]) ||
    (head[8] === 0 ? 'blob' : 'whole') !== kind
  )
    return undefined
  const view = new DataView(head.buffer, head.byteOffset, head.length)
  return {
    kind,
    name,
    size: view.getFloat64(24, true),
    submitter: toHex(head.subarray(32, 64)) as PublicKey,
    keepUntilMs: view.getFloat64(16, true),
    pin: (head[9]! & 1) !== 0,
    shared: (head[9]! & 2) !== 0,
  }
}

async function withFile<T>(file: string, flags: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(file, flags, 0o600)
  try {
    return await use(handle)
  } finally {
    await handle.close()
  }
}

async function writeAll(handle: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  for (const bytes of parts) {
    for (let done = 0; done < bytes.length; )
      done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten
  }
}

/** Makes the entries of `folder` durable. Windows has no such call and needs none. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  await withFile(folder, 'r', (handle) => handle.sync())
}

function guard(files: BlobFiles): BlobFiles {
  const guarded = Object.entries(files).map(([name, value]) => {
    if (typeof value !== 'function') return [name, value]
    const call = value as (...args: readonly unknown[]) => Promise<unknown>
    return [
      name,
      (...args: readonly unknown[]) => call(...args).catch((error: unknown) => Promise.reject(fileError(error))),
    ]
  })
  return Object.fromEntries(guarded) as BlobFiles
}

function fileError(error: unknown): GridError {
  if (error instanceof GridError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
  if (code === 'ENOENT') return new GridError('notFound', 'the blob is not here', { cause: error })
  const { text = code, hint } = diskProblem(code) ?? {}
  return new GridError('unavailable', `cannot use the blob store: ${text}`, {
    cause: error,
    fields: { code },
    ...(hint === undefined ? {} : { hint }),
  })
}
