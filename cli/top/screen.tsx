import { Box, type Key as InkKey, Text, useInput } from 'ink'
import { memo, useCallback } from 'react'
import type { KeyPress } from './core/messages.js'
import { readKeys } from './keys.js'
import type { Line, Span, Tone } from './view/line.js'

/** Looks of a tone. Names of colours are those of the terminal's own palette, so that they fit its background. */
const LOOKS: Readonly<
  Record<
    Tone,
    { readonly color?: string; readonly bold?: boolean; readonly dimColor?: boolean; readonly inverse?: boolean }
  >
> = {
  plain: {},
  dim: { dimColor: true },
  strong: { bold: true },
  good: { color: 'green' },
  warn: { color: 'yellow' },
  bad: { color: 'red' },
  accent: { color: 'cyan' },
  active: { bold: true, inverse: true },
}

/** The same without colours (no-color.org): what matters stands out all the same. */
const PLAIN_LOOKS: typeof LOOKS = {
  ...LOOKS,
  good: {},
  warn: { bold: true },
  bad: { bold: true },
  accent: { bold: true },
}

interface ScreenProps {
  readonly lines: readonly Line[]
  readonly columns: number
  readonly isColoured: boolean
  readonly onKeys: (keys: readonly KeyPress[]) => void
}

/** The lines of a frame, one below the other, and the keys that are pressed. Decides nothing. */
export function Screen({ lines, columns, isColoured, onKeys }: ScreenProps) {
  // The same function each time: for another one ink would listen anew with every frame.
  useInput(useCallback((input: string, key: InkKey) => onKeys(readKeys(input, key)), [onKeys]))
  return (
    <Box flexDirection="column" width={columns} flexShrink={0}>
      {lines.map((line, row) => (
        // Rows of the screen have no identity but their place.
        <ScreenLine key={row} line={line} isColoured={isColoured} />
      ))}
    </Box>
  )
}

interface LineProps {
  readonly line: Line
  readonly isColoured: boolean
}

const ScreenLine = memo(function ScreenLine({ line: { spans, isSelected }, isColoured }: LineProps) {
  const looks = isColoured ? LOOKS : PLAIN_LOOKS
  return (
    <Text wrap="truncate-end" bold={isSelected}>
      {spans.length === 0 || spans.every(({ text }) => text === '')
        ? ' '
        : spans.map(({ text, tone }, at) => (
            <Text key={at} {...looks[tone]}>
              {text}
            </Text>
          ))}
    </Text>
  )
}, isSameLine)

function isSameLine(a: LineProps, b: LineProps): boolean {
  return a.isColoured === b.isColoured && sameLine(a.line, b.line)
}

/** Whether two lines look the same. */
export function sameLine(a: Line, b: Line): boolean {
  return (
    a.isSelected === b.isSelected &&
    a.spans.length === b.spans.length &&
    a.spans.every((piece, at) => samePiece(piece, b.spans[at]!))
  )
}

function samePiece(a: Span, b: Span): boolean {
  return a.text === b.text && a.tone === b.tone
}
