import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { packageRoot } from '../../runtime/package-root.js'

/** One import, re-export, `import()` or `require()` of a source file. */
export interface Import {
  /** The module as written: `piscina`, `node:fs`, `../proto/model.js`. */
  readonly specifier: string
  /** For relative ones the file it means, relative to the repository, `/` between folders; undefined for packages. */
  readonly file: string | undefined
  /** Only types cross: nothing of it is left at run time. */
  readonly typeOnly: boolean
  /** A call: loaded when that is reached, and not along with the file. */
  readonly atUse: boolean
}

/** A TypeScript file of the project, read for what its text says and not for what it does. */
export interface SourceFile {
  /** Relative to the repository, `/` between folders. */
  readonly path: string
  readonly text: string
  /** The text without comments, and with every string, template text and regular expression emptied. */
  readonly code: string
  readonly imports: readonly Import[]
}

/** Folders that hold nothing written by hand. */
const IGNORED_FOLDERS: ReadonlySet<string> = new Set(['node_modules', 'dist', '.build', '.git', 'gen'])

/** Paths of all files of the repository, sorted, relative, `/` between folders. */
export function listFiles(root: string = packageRoot): string[] {
  const found: string[] = []
  const visit = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) {
        if (!IGNORED_FOLDERS.has(entry.name)) visit(path)
      } else if (entry.isFile()) found.push(relative(root, path).split(sep).join('/'))
    }
  }
  visit(root)
  return found.sort()
}

/** All `.ts` and `.tsx` files of the project with their imports. */
export function readSources(root: string = packageRoot): SourceFile[] {
  const paths = listFiles(root).filter((path) => /\.tsx?$/.test(path) && !path.endsWith('.d.ts'))
  const known = new Set(paths)
  return paths.map((path) => {
    const source = parseSource(path, readFileSync(join(root, path), 'utf8'))
    // An import says `.js` whichever the source is.
    const imports = source.imports.map((imported) =>
      imported.file !== undefined && !known.has(imported.file) && known.has(`${imported.file}x`)
        ? { ...imported, file: `${imported.file}x` }
        : imported,
    )
    return { ...source, imports }
  })
}

/** What `text` imports when it stands at `path`. */
export function parseSource(path: string, text: string): SourceFile {
  const { code, strings } = blank(text, path.endsWith('.tsx'))
  return { path, text, code, imports: importsOf(path, code, strings) }
}

/** Statements and calls that name a module. In blanked code each string is `'N'`, its number in the list of strings. */
const STATEMENT = /(?:^|[\s;}])(?:import|export)\b(?!\s*\()([^'`;=()]*?)\bfrom\s*'(\d+)'/g
const BARE = /(?:^|[\s;}])import\s*'(\d+)'/g
const CALL = /\b(?:import|require)\s*\(\s*'(\d+)'/g

function importsOf(path: string, code: string, strings: readonly string[]): Import[] {
  const found: Import[] = []
  const add = (index: string | undefined, { typeOnly = false, atUse = false } = {}) => {
    const specifier = strings[Number(index)]!
    const file = specifier.startsWith('.')
      ? posix.normalize(posix.join(dirname(path).split(sep).join('/'), specifier)).replace(/\.js$/, '.ts')
      : undefined
    found.push({ specifier, file, typeOnly, atUse })
  }
  for (const [, clause = '', index] of code.matchAll(STATEMENT)) add(index, { typeOnly: isTypeOnly(clause) })
  for (const [, index] of code.matchAll(BARE)) add(index)
  for (const [, index] of code.matchAll(CALL)) add(index, { atUse: true })
  return found
}

/** `type { A }`, or braces in which every name is a type. */
function isTypeOnly(clause: string): boolean {
  const trimmed = clause.trim()
  if (/^type\b/.test(trimmed)) return true
  const named = /^\{([^}]*)\}$/.exec(trimmed)?.[1]
  if (named === undefined) return false
  const names = named.split(',').filter((name) => name.trim() !== '')
  return names.length > 0 && names.every((name) => /^\s*type\s/.test(name))
}

/** After these a slash begins a regular expression; after a name, number or closing bracket it divides. */
const BEFORE_REGEX = /(?:^|[([{=,;:!&|?+\-*%~^<>}]|\b(?:return|typeof|case|in|of|void|delete|throw|new|else|do))\s*$/

/**
 * The text without comments and with numbered placeholders for strings, so that words are searched for in code alone.
 * Covers what this project writes; expressions inside templates are kept. `hasElements`: the text may hold JSX.
 */
function blank(text: string, hasElements = false): { code: string; strings: string[] } {
  const strings: string[] = []
  let code = ''
  let at = 0
  /** Depth of braces at which each open template continues. */
  const templates: number[] = []
  let depth = 0

  const quoted = (quote: string): string => {
    let value = ''
    at++
    while (at < text.length && text[at] !== quote) {
      if (text[at] === '\\') at++
      value += text[at++]
    }
    at++
    return value
  }
  /** From after a backtick or the brace that ends an expression, to the next expression or the end. */
  const templateText = () => {
    while (at < text.length) {
      if (text[at] === '\\') at += 2
      else if (text[at] === '`') {
        at++
        code += '`'
        return
      } else if (text.startsWith('${', at)) {
        at += 2
        templates.push(depth)
        depth++
        code += '${'
        return
      } else at++
    }
  }

  while (at < text.length) {
    const char = text[at]!
    if (text.startsWith('//', at)) {
      while (at < text.length && text[at] !== '\n') at++
    } else if (text.startsWith('/*', at)) {
      const end = text.indexOf('*/', at + 2)
      at = end < 0 ? text.length : end + 2
      code += ' '
    } else if (char === "'" || char === '"') {
      code += `'${strings.push(quoted(char)) - 1}'`
    } else if (char === '`') {
      at++
      code += '`'
      templateText()
    } else if (hasElements && char === '/' && (text[at - 1] === '<' || text[at + 1] === '>')) {
      // `</Box>` and `<Box />`: the end of an element.
      code += char
      at++
    } else if (char === '/' && BEFORE_REGEX.test(code.slice(-20))) {
      at++
      for (let inClass = false; at < text.length && (inClass || text[at] !== '/'); at++) {
        if (text[at] === '\\') at++
        else if (text[at] === '[') inClass = true
        else if (text[at] === ']') inClass = false
      }
      at++
      code += '/ /'
    } else {
      if (char === '{') depth++
      if (char === '}') depth--
      code += char
      at++
      if (char === '}' && templates.at(-1) === depth) {
        templates.pop()
        templateText()
      }
    }
  }
  return { code, strings }
}
