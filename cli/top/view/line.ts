import { cutToWidth, textWidth } from '../../terminal/text-width.js'

/** How a piece of text looks; `screen.tsx` says in which colours. */
export type Tone = 'plain' | 'dim' | 'strong' | 'good' | 'warn' | 'bad' | 'accent' | 'active'

/** A piece of a line that looks the same throughout. */
export interface Span {
  readonly text: string
  readonly tone: Tone
}

/** One line of the screen. */
export interface Line {
  readonly spans: readonly Span[]
  /** The whole line stands out. */
  readonly isSelected: boolean
}

/** A piece of a line; without `tone` in the colour of plain text. */
export function span(text: string, tone: Tone = 'plain'): Span {
  return { text, tone }
}

/** A line of these pieces; texts are plain. */
export function line(...parts: readonly (Span | string)[]): Line {
  return { spans: parts.map((part) => (typeof part === 'string' ? span(part) : part)), isSelected: false }
}

/** A line with nothing on it. */
export const EMPTY: Line = line('')

/** Columns of a terminal that the pieces take. */
export function spansWidth(spans: readonly Span[]): number {
  return spans.reduce((sum, { text }) => sum + textWidth(text), 0)
}

/** The pieces in at most `columns`; the last one that has room for a part of it ends in an ellipsis. */
export function cutSpans(spans: readonly Span[], columns: number): readonly Span[] {
  const kept: Span[] = []
  let left = columns
  for (const { text, tone } of spans) {
    const width = textWidth(text)
    if (width <= left) kept.push({ text, tone })
    else {
      if (left > 0) kept.push({ text: cutToWidth(text, left), tone })
      break
    }
    left -= width
  }
  return kept
}

/** A line with something at its right end; the left part is cut where both do not fit. */
export function between(left: readonly Span[], right: readonly Span[], columns: number): Line {
  const end = cutSpans(right, columns)
  const room = Math.max(0, columns - spansWidth(end) - (end.length > 0 ? 1 : 0))
  const begin = cutSpans(left, room)
  const gap = ' '.repeat(Math.max(0, columns - spansWidth(begin) - spansWidth(end)))
  return { spans: [...begin, span(gap), ...end], isSelected: false }
}

/** A thin line across `columns`. */
export function rule(columns: number): Line {
  return line(span('─'.repeat(columns), 'dim'))
}
