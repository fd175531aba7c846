import { randomBytes } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { hostname, uptime } from 'node:os'
import { join, resolve } from 'node:path'
import { GridError } from '../../runtime/errors.js'
import { makeFolders } from '../../runtime/folders.js'
import {
  createIdentity,
  findIdNonce,
  type Identity,
  idWorkOf,
  restoreIdentity,
  storedKeyOf,
  withIdNonce,
} from './identity.js'

const LOCK_FILE = 'lock'
/** The file of a data directory that holds its key. */
export const KEY_FILE = 'identity.json'
/** How often the holder touches its lock. Unit: ms. */
const LOCK_TOUCH_MS = 15_000
/** A lock of another host (a container that was replaced) not touched for so long has lost its holder. Unit: ms. */
const LOCK_SILENT_MS = 60_000
/** Two reckonings of when the machine started differ by less than this. Unit: ms. */
const BOOT_TOLERANCE_MS = 60_000

/** The folder in which a node keeps its key and its state, held by one process at a time. */
export interface DataDirectory {
  /** Absolute. */
  readonly path: string
  /** The key of this directory, made on the first call (file mode 0600). A nonce that falls short of `idWorkBits` is replaced, which changes the node id. */
  identity(idWorkBits: number): Identity
  /** Lets the next process in. Safe to call twice. */
  close(): void
}

interface LockContent {
  readonly pid: number
  readonly host: string
  readonly bootedAtMs: number
  readonly token: string
}

/** Locks held by this process, by path: a lock that names our own pid and is not here was left by a former process. */
const held = new Set<string>()

/**
 * Makes the folder if need be (mode 0700) and takes its lock. A lock whose process is gone is taken over. Throws GridError
 * `unavailable` when another process holds it or the folder cannot be written.
 */
export function openDataDirectory(folder: string): DataDirectory {
  const path = resolve(folder)
  const lockPath = join(path, LOCK_FILE)
  const token = onDisk(path, () => {
    makeFolders(path)
    return takeLock(path, lockPath)
  })
  held.add(lockPath)
  const touch = setInterval(() => {
    const now = new Date()
    try {
      utimesSync(lockPath, now, now)
    } catch {
      // The next reader then sees an old time and asks whether the process lives.
    }
  }, LOCK_TOUCH_MS)
  touch.unref()
  let released = false
  const release = () => {
    if (released) return
    released = true
    held.delete(lockPath)
    clearInterval(touch)
    if (readLock(lockPath)?.token === token) rmSync(lockPath, { force: true })
  }
  process.once('exit', release)
  return {
    path,
    identity: (idWorkBits) => onDisk(path, () => loadIdentity(join(path, KEY_FILE), idWorkBits)),
    close() {
      process.removeListener('exit', release)
      release()
    },
  }
}

function takeLock(path: string, lockPath: string): string {
  const token = randomBytes(8).toString('hex')
  const content: LockContent = { pid: process.pid, host: hostname(), bootedAtMs: bootedAtMs(), token }
  const draft = `${lockPath}.${token}`
  writeDurably(draft, JSON.stringify(content))
  try {
    // A link appears whole or not at all, so nobody ever reads half a lock.
    for (let attempt = 0; attempt < 3; attempt++) {
      if (tryLink(draft, lockPath)) return token
      const holder = readLock(lockPath)
      if (holder !== undefined ? isAlive(holder, lockPath) : !isSilent(lockPath)) throw inUse(path, holder)
      removeStale(lockPath, holder, token)
    }
    throw inUse(path, readLock(lockPath))
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Moves the dead lock away; puts it back when another process had replaced it in between. */
function removeStale(lockPath: string, holder: LockContent | undefined, token: string): void {
  const aside = `${lockPath}.stale.${token}`
  try {
    renameSync(lockPath, aside)
  } catch {
    return
  }
  if (readLock(aside)?.token !== holder?.token) tryLink(aside, lockPath)
  rmSync(aside, { force: true })
}

function isAlive(holder: LockContent, lockPath: string): boolean {
  if (holder.host !== hostname()) return !isSilent(lockPath)
  if (holder.pid === process.pid) return held.has(lockPath)
  // After a reboot the number may belong to anybody, so then the time of the last touch decides.
  if (!processExists(holder.pid)) return false
  return Math.abs(holder.bootedAtMs - bootedAtMs()) <= BOOT_TOLERANCE_MS || !isSilent(lockPath)
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** A killed process that nobody has waited for still has its number; on Linux /proc tells (proc(5): state after the name). */
function isZombie(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return status.slice(status.lastIndexOf(')') + 2).startsWith('Z')
  } catch {
    return false
  }
}

function isSilent(lockPath: string): boolean {
  try {
    return Date.now() - statSync(lockPath).mtimeMs > LOCK_SILENT_MS
  } catch {
    return true
  }
}

function readLock(lockPath: string): LockContent | undefined {
  try {
    const content = JSON.parse(readFileSync(lockPath, 'utf8')) as Partial<LockContent> | null
    const { pid, host, bootedAtMs: booted, token } = content ?? {}
    if (typeof pid !== 'number' || typeof host !== 'string' || typeof booted !== 'number' || typeof token !== 'string')
      return undefined
    return { pid, host, bootedAtMs: booted, token }
  } catch {
    return undefined
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function loadIdentity(file: string, idWorkBits: number): Identity {
  const stored = readKeyFile(file)
  if (stored === undefined) {
    const created = createIdentity(idWorkBits)
    writeKeyFile(file, created)
    return created
  }
  if (idWorkOf(stored.publicKey, stored.idNonce) >= idWorkBits) return stored
  const renewed = withIdNonce(stored, findIdNonce(stored.publicKey, idWorkBits))
  writeKeyFile(file, renewed)
  return renewed
}

function readKeyFile(file: string): Identity | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const fields = JSON.parse(text) as { privateKey?: unknown; idNonce?: unknown } | null
    return restoreIdentity({ privateKey: String(fields?.privateKey), idNonce: String(fields?.idNonce) })
  } catch (cause) {
    throw new GridError('corrupt', `the key file ${file} cannot be read as a key`, {
      cause,
      hint: 'restore it from a backup, or move it away to start with a new key',
    })
  }
}

/** Beside the old one, then over it: a crash leaves the old key or the new one, never half. */
function writeKeyFile(file: string, identity: Identity): void {
  const draft = `${file}.new`
  rmSync(draft, { force: true })
  writeDurably(
    draft,
    `${JSON.stringify({ v: 1, nodeId: identity.nodeId, publicKey: identity.publicKey, ...storedKeyOf(identity) }, null, 2)}\n`,
  )
  renameSync(draft, file)
  chmodSync(file, 0o600)
}

function writeDurably(file: string, text: string): void {
  const handle = openSync(file, 'wx', 0o600)
  try {
    writeSync(handle, text)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function bootedAtMs(): number {
  return Math.round(Date.now() - uptime() * 1000)
}

function inUse(path: string, holder: LockContent | undefined): GridError {
  const who =
    holder === undefined
      ? 'another process'
      : `process ${holder.pid}${holder.host === hostname() ? '' : ` on ${holder.host}`}`
  return new GridError('unavailable', `data directory ${path} is in use by ${who}`, {
    hint: 'stop that process, or give this one its own folder with --data DIR',
    ...(holder === undefined ? {} : { fields: { pid: holder.pid } }),
  })
}

const DISK_HINTS: Readonly<Record<string, string>> = {
  EACCES: 'give this user the right to write there, or choose another folder with --data DIR',
  EPERM: 'give this user the right to write there, or choose another folder with --data DIR',
  EROFS: 'the disk is read-only; choose another folder with --data DIR',
  ENOSPC: 'the disk is full; free some space or choose another folder with --data DIR',
  ENOENT: 'no folder can be made there; choose another with --data DIR',
  ENOTDIR: 'part of the path is a file; choose another folder with --data DIR',
  EEXIST: 'the path is a file; choose another folder with --data DIR',
}

/**
 * Throws GridError `unavailable` when a file stands where the folder should be, or nothing in it may be read. One that is not there yet
 * is none of its business: whoever writes first makes it.
 */
export function checkDataDirectory(folder: string): void {
  const path = resolve(folder)
  onDisk(path, () => {
    const found = statSync(path, { throwIfNoEntry: false })
    if (found === undefined) return
    if (!found.isDirectory()) throw Object.assign(new Error(`${path} is a file`), { code: 'EEXIST' })
    accessSync(path, constants.R_OK | constants.X_OK)
  })
}

/** Turns what the disk refuses about a data directory into one message a person can act on: GridError `unavailable`. */
export function onDisk<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (error instanceof GridError) throw error
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown'
    const hint = DISK_HINTS[code]
    throw new GridError('unavailable', `data directory ${path} cannot be used (${code})`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    })
  }
}
