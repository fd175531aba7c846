import type { Key as InkKey } from 'ink'
import type { KeyPress } from './core/messages.js'

/** The keys of the terminal that the dashboard knows, by the names that ink gives them. */
const NAMED: readonly (readonly [ink: keyof InkKey, key: KeyPress])[] = [
  ['upArrow', 'up'],
  ['downArrow', 'down'],
  ['pageUp', 'pageUp'],
  ['pageDown', 'pageDown'],
  ['home', 'home'],
  ['end', 'end'],
  ['return', 'enter'],
  ['escape', 'escape'],
  ['backspace', 'backspace'],
  // What most terminals send for the backspace key.
  ['delete', 'backspace'],
]

/** What was pressed; several characters when text was pasted. Keys that mean nothing here give none. */
export function readKeys(input: string, key: Partial<InkKey>): readonly KeyPress[] {
  if (key.ctrl === true) return input === 'c' ? ['interrupt'] : []
  if (key.tab === true) return [key.shift === true ? 'backTab' : 'tab']
  for (const [name, named] of NAMED) if (key[name] === true) return [named]
  if (key.meta === true) return []
  return [...input].flatMap((char): readonly KeyPress[] => {
    if (char === '\r' || char === '\n') return ['enter']
    return /[\p{Cc}\p{Cf}\p{Cs}]/u.test(char) ? [] : [{ char }]
  })
}
