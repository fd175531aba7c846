import { Writable } from 'node:stream'
import { pino } from 'pino'
import { printable } from '../../proto/printable.js'
import type { LogFields, Logger } from '../../runtime/logger.js'
import { type Sink, toJson } from './output.js'

/** `error`: somebody must act; `warn`: degraded; `info`: the process changed its state; `debug`: each message. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

interface LoggerOptions {
  readonly stream: Sink
  readonly level: LogLevel
  /** JSON lines as pino writes them, for machines; else a line for people. */
  readonly json: boolean
}

/** The log of a process, on stderr. Times are local and to the second for people, epoch milliseconds in JSON. */
export function createLogger({ stream, level, json }: LoggerOptions): Logger {
  const destination = new Writable({
    decodeStrings: false,
    write(chunk: string | Buffer, _encoding, done) {
      const text = String(chunk)
      stream.write(json ? text : humanLine(text))
      done()
    },
  })
  const log = pino({ level, base: null, formatters: { level: (label) => ({ level: label }) } }, destination)
  return wrap(log)
}

interface PinoLike {
  debug(fields: object, event: string): void
  info(fields: object, event: string): void
  warn(fields: object, event: string): void
  error(fields: object, event: string): void
  child(bindings: Record<string, unknown>): PinoLike
}

function wrap(log: PinoLike): Logger {
  return {
    debug: (event, fields) => log.debug(plain(fields), event),
    info: (event, fields) => log.info(plain(fields), event),
    warn: (event, fields) => log.warn(plain(fields), event),
    error: (event, fields) => log.error(plain(fields), event),
    child: (component) => wrap(log.child({ component })),
  }
}

/** Bigints and errors are not JSON. */
function plain(fields: LogFields | undefined): Record<string, unknown> {
  if (fields === undefined) return {}
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      if (typeof value === 'bigint') return [name, String(value)]
      return [name, value instanceof Error ? value.message : value]
    }),
  )
}

const HIDDEN: ReadonlySet<string> = new Set(['level', 'time', 'msg', 'component'])

/** A line of pino for people: `12:34:56 warn overlay: seed is silent address=host:4747`. */
function humanLine(text: string): string {
  let record: Record<string, unknown>
  try {
    record = JSON.parse(text) as Record<string, unknown>
  } catch {
    return text
  }
  const at = new Date(Number(record.time)).toTimeString().slice(0, 8)
  const level = record.level === 'info' ? '' : `${String(record.level)} `
  const component = record.component === undefined ? '' : `${String(record.component)}: `
  const fields = Object.entries(record)
    .filter(([name]) => !HIDDEN.has(name))
    .map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : toJson(value)}`)
  return `${printable(`${at} ${level}${component}${String(record.msg)}${fields.join('')}`)}\n`
}
