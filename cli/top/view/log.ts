import type { LogEntry } from '../../../proto/admin-messages.js'
import { bodyLines } from '../core/layout.js'
import type { TopState } from '../core/state.js'
import { cutSpans, EMPTY, type Line, span, type Tone } from './line.js'
import { clean } from './words.js'

const TONES: Readonly<Record<string, Tone>> = { error: 'bad', warn: 'warn', info: 'plain' }

/** The newest entries of the log, or those that were scrolled back to. `clock` writes a time of day. */
export function logView(state: Readonly<TopState>, clock: (wallMs: number) => string): readonly Line[] {
  const { log, logBack, columns, rows, processTrouble } = state
  const body = bodyLines('log', rows, false)
  const end = Math.max(Math.min(body, log.length), log.length - logBack)
  const lines: Line[] = log
    .slice(Math.max(0, end - body), end)
    .map((entry) => ({ spans: cutSpans(entrySpans(entry, clock), columns), isSelected: false }))
  if (log.length === 0) {
    const text = processTrouble === '' ? 'nothing was logged yet' : clean(processTrouble)
    lines.push(EMPTY, { spans: cutSpans([span(`  ${text}`, 'dim')], columns), isSelected: false })
  }
  while (lines.length < body) lines.push(EMPTY)
  return lines
}

/** Fields beyond these characters are cut off. */
const FIELDS_CHARS_MAX = 400
const FIELDS_JSON_CHARS_MAX = 4_096

function entrySpans({ atMs, level, scope, message, fields }: LogEntry, clock: (wallMs: number) => string) {
  const tone = TONES[level] ?? 'dim'
  return [
    span(` ${clock(atMs)} `, 'dim'),
    span(`${clean(level, 8).padEnd(6)}`, tone),
    span(scope === '' ? '' : `${clean(scope, 40)}: `, 'dim'),
    span(clean(message), tone === 'dim' ? 'dim' : 'plain'),
    span(`  ${clean(fieldsText(fields), FIELDS_CHARS_MAX)}`, 'dim'),
  ]
}

/** Fields as `name=value`; what is no JSON object, as it is. */
function fieldsText(fields: string): string {
  if (fields.length > FIELDS_JSON_CHARS_MAX) return fields
  try {
    const parsed: unknown = JSON.parse(fields)
    if (typeof parsed !== 'object' || parsed === null) return fields
    return Object.entries(parsed)
      .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join(' ')
  } catch {
    return fields
  }
}
