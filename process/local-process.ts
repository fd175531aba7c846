import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onDisk } from '../overlay/identity/data-directory.js'

/** What a long-running process of a data directory says about itself, for commands on the same machine. */
interface LocalProcess {
  readonly pid: number
  readonly network: string
  /** `host:port#id`; undefined for a worker that does not listen. */
  readonly address: string | undefined
  /** Where it joined; of use when it does not listen itself. */
  readonly join: readonly string[]
  /** Its admin socket; undefined: it has none. */
  readonly admin?: string | undefined
}

const FILE = 'process.json'
/**
 * Leaves word of this process in its data directory. Returns how to take it away again. Throws GridError `unavailable` with what to do
 * when the disk is full or takes no file.
 */
export function announceLocalProcess(folder: string, local: LocalProcess): () => void {
  const file = join(folder, FILE)
  const draft = `${file}.draft`
  onDisk(folder, () => {
    writeFileSync(draft, `${JSON.stringify({ v: 1, ...local })}\n`, { mode: 0o600 })
    renameSync(draft, file)
  })
  return () => rmSync(file, { force: true })
}

/** The process that runs on a data directory now; undefined when there is none, or it is in another network. */
export function findLocalProcess(folder: string, network: string): LocalProcess | undefined {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(join(folder, FILE), 'utf8'))
  } catch {
    return undefined
  }
  const found = readLocalProcess(value)
  return found?.network === network && isRunning(found.pid) ? found : undefined
}

function readLocalProcess(value: unknown): LocalProcess | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { v, pid, network, address, join, admin } = value as Readonly<Record<string, unknown>>
  if (v !== 1 || typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid < 1) return undefined
  if (typeof network !== 'string' || !isOptionalText(address) || !isOptionalText(admin)) return undefined
  if (!Array.isArray(join) || !join.every((seed): seed is string => typeof seed === 'string')) return undefined
  return { pid, network, address, join, admin }
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string'
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
