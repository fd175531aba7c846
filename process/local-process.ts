import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

/** What a long-running process of a data directory says about itself, for commands on the same machine. */
export interface LocalProcess {
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
const schema = z.object({
  v: z.literal(1),
  pid: z.number().int().positive(),
  network: z.string(),
  address: z.string().optional(),
  join: z.array(z.string()),
  admin: z.string().optional(),
})

/** Leaves word of this process in its data directory. Returns how to take it away again. */
export function announceLocalProcess(folder: string, local: LocalProcess): () => void {
  const file = join(folder, FILE)
  const draft = `${file}.draft`
  writeFileSync(draft, `${JSON.stringify({ v: 1, ...local })}\n`, { mode: 0o600 })
  renameSync(draft, file)
  return () => rmSync(file, { force: true })
}

/** The process that runs on a data directory now; undefined when there is none, or it is in another network. */
export function findLocalProcess(folder: string, network: string): LocalProcess | undefined {
  let parsed: z.infer<typeof schema>
  try {
    parsed = schema.parse(JSON.parse(readFileSync(join(folder, FILE), 'utf8')))
  } catch {
    return undefined
  }
  if (parsed.network !== network || !isRunning(parsed.pid)) return undefined
  return { pid: parsed.pid, network, address: parsed.address, join: parsed.join, admin: parsed.admin }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
