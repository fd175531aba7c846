import type { LogEntry } from '../../proto/admin-messages.js'
import { LOG_ENTRIES_MAX, LOG_FIELDS_BYTES_MAX, LOG_MESSAGE_BYTES_MAX } from '../../proto/codec/admin.js'
import { stripControls } from '../../proto/codec/fields.js'
import type { Clock } from '../../runtime/clock.js'
import type { LogFields, Logger } from '../../runtime/logger.js'

/** Followers at a time. */
const LISTENERS_MAX = 64

/**
 * The last {@link LOG_ENTRIES_MAX} entries of a process's log, from `info` up, whatever its standard error shows, and
 * whoever follows them. With each entry at its own bound they take 5 MB.
 */
export class LogRing {
  readonly #clock: Pick<Clock, 'wallMs'>
  readonly #entries: LogEntry[] = []
  readonly #listeners = new Set<(entry: LogEntry) => void>()

  constructor(clock: Pick<Clock, 'wallMs'>) {
    this.#clock = clock
  }

  /** The newest `count` entries, oldest first. */
  past(count: number): readonly LogEntry[] {
    return count === 0 ? [] : this.#entries.slice(-count)
  }

  /** Calls `listener` with each entry from now on, until the result is called; beyond a bound the eldest is forgotten. */
  follow(listener: (entry: LogEntry) => void): () => void {
    this.#listeners.add(listener)
    if (this.#listeners.size > LISTENERS_MAX) this.#listeners.delete(this.#listeners.values().next().value!)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** The same log, with what it writes kept here as well. */
  around(logger: Logger, scope = ''): Logger {
    const write = (level: 'info' | 'warn' | 'error') => (event: string, fields?: LogFields) => {
      logger[level](event, fields)
      this.#add(level, scope, event, fields)
    }
    return {
      debug: (event, fields) => logger.debug(event, fields),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: (component) => this.around(logger.child(component), component),
    }
  }

  #add(level: string, scope: string, event: string, fields: LogFields | undefined): void {
    const entry: LogEntry = {
      atMs: this.#clock.wallMs(),
      level,
      scope: scope.slice(0, 64),
      message: cut(stripControls(event), LOG_MESSAGE_BYTES_MAX),
      fields: fields === undefined ? '' : fieldsOf(fields),
    }
    this.#entries.push(entry)
    if (this.#entries.length > LOG_ENTRIES_MAX) this.#entries.shift()
    for (const listener of this.#listeners) listener(entry)
  }
}

/** Fields as a JSON object; those that would make it too long are left out. */
function fieldsOf(fields: LogFields): string {
  const parts: string[] = []
  let bytes = 2
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    const part = `${JSON.stringify(name)}:${jsonOf(value)}`
    bytes += Buffer.byteLength(part) + 1
    if (bytes > LOG_FIELDS_BYTES_MAX) break
    parts.push(part)
  }
  return `{${parts.join(',')}}`
}

function jsonOf(value: unknown): string {
  const plain = value instanceof Error ? value.message : value
  return JSON.stringify(plain, (_, field: unknown) => (typeof field === 'bigint' ? String(field) : field)) ?? 'null'
}

function cut(text: string, bytesMax: number): string {
  return Buffer.byteLength(text) <= bytesMax ? text : text.slice(0, Math.floor(bytesMax / 4))
}
