import type { TomlError } from 'smol-toml'

/** What is wrong with a TOML text, without the picture of the line that the parser appends. */
export function problemOf(error: TomlError): string {
  const first = error.message.split('\n')[0] ?? ''
  return first.replace(/^Invalid TOML document: /, '')
}

/**
 * Line (from 1) on which the key that `path` names is set in a TOML text, or else the nearest table above it; undefined when
 * it cannot be told, as for keys within inline tables that span lines. For messages only: it reads no values.
 */
export function lineOfKey(text: string, path: readonly string[]): number | undefined {
  const lines = text.split('\n')
  for (let depth = path.length; depth > 0; depth--) {
    const wanted = path
      .slice(0, depth)
      .filter((part) => !/^[0-9]+$/.test(part))
      .join('.')
    const found = findLine(lines, wanted)
    if (found !== undefined) return found
  }
  return undefined
}

function findLine(lines: readonly string[], wanted: string): number | undefined {
  let tableName = ''
  for (const [index, line] of lines.entries()) {
    const header = /^\s*\[\[?\s*([^\]]+?)\s*\]\]?/.exec(line)
    if (header !== null) {
      tableName = plainKey(header[1]!)
      if (tableName === wanted) return index + 1
      continue
    }
    const key = /^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=/.exec(line)
    if (key === null) continue
    const name = plainKey(key[1]!)
    if ((tableName === '' ? name : `${tableName}.${name}`) === wanted) return index + 1
  }
  return undefined
}

function plainKey(key: string): string {
  return key
    .split('.')
    .map((part) => part.trim().replace(/^(["'])(.*)\1$/, '$2'))
    .join('.')
}
