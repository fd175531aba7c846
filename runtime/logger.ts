/** Values that may stand in a log line. */
export type LogFields = Readonly<Record<string, unknown>>

/**
 * One event name plus fields. `error`: someone must act; `warn`: degraded; `info`: state changes of the process;
 * `debug`: per message. Drivers log, cores do not.
 */
export interface Logger {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  /** The same log with a component name on every line. */
  child(component: string): Logger
}

/** Writes nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
}
