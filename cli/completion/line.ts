/** Characters at which bash begins a new word of its own, whatever ours are (`COMP_WORDBREAKS`), that words of ours have. */
const BASH_BREAKS = ['=', ':']

/** A command line up to the cursor as words, quotes and backslashes taken off; the last is being typed. */
export function splitLine(line: string): string[] {
  const words: string[] = []
  let word = ''
  let isWord = false
  let quote = ''
  for (let at = 0; at < line.length; at++) {
    const char = line[at]!
    if (quote !== '') {
      if (char === quote) quote = ''
      else if (char === '\\' && quote === '"' && /["\\$`]/.test(line[at + 1] ?? '')) word += line[++at]
      else word += char
    } else if (char === "'" || char === '"') {
      quote = char
      isWord = true
    } else if (char === '\\') {
      word += line[++at] ?? ''
      isWord = true
    } else if (/\s/.test(char)) {
      if (isWord) words.push(word)
      word = ''
      isWord = false
    } else {
      word += char
      isWord = true
    }
  }
  return [...words, word]
}

/** What of `value` bash is to put in place of the part of `typed` that it takes for a word. */
export function afterBashBreak(typed: string, value: string): string {
  const at = Math.max(...BASH_BREAKS.map((character) => typed.lastIndexOf(character)))
  return value.slice(at + 1)
}
