import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { status } from '@grpc/grpc-js'
import type { Command } from 'commander'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { buildProgram } from '../../cli/program.js'
import { methods } from '../../proto/methods.js'
import { toStatus } from '../../proto/status.js'
import { ERROR_CODES, GridError } from '../../runtime/errors.js'
import { packageRoot } from '../../runtime/package-root.js'
import { listFiles, readSources } from '../support/source-files.js'

/** What pages name has to be there: files, headings, commands, flags, scripts, constants, methods. Decisions tell of their day. */

interface Page {
  readonly path: string
  readonly text: string
  /** What stands between backticks, in a line or as a block. */
  readonly spans: readonly string[]
}

const files = listFiles()
const pages: readonly Page[] = files
  .filter((path) => /^(?:README|CHANGELOG|docs\/[a-z-]+|examples\/.*README)\.md$/.test(path))
  .map((path) => {
    const text = readFileSync(join(packageRoot, path), 'utf8')
    const blocks = [...text.matchAll(/^```.*\n([\s\S]*?)^```/gm)].flatMap(([, block]) => block!.split('\n'))
    const indented = [...text.matchAll(/^ {4}(\S.*)$/gm)].map(([, line]) => line!)
    const lines = [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, span]) => span!)
    return { path, text, spans: [...blocks, ...indented, ...lines] }
  })
const sources = readSources()
const product = sources
  .filter(({ path }) => !/^(?:test|bench|examples)\//.test(path))
  .map(({ text }) => text)
  .join('\n')
const program = await buildProgram(async () => {})
const commands = new Map(program.commands.map((command) => [command.name(), command]))
const flagsOf = (command: Command): readonly string[] => command.options.flatMap(({ long }) => long ?? [])
const settings = flagsOf(program)

/** The `manyhands` command lines in a span, as words: pipes and comments end them. */
function commandLines(span: string): readonly (readonly string[])[] {
  return [...span.matchAll(/(?<![\w/.@-])manyhands((?: [^|&;#()`]+)+)/g)].map(([, words]) => words!.trim().split(/\s+/))
}

/** `## Life of a unit` is `#life-of-a-unit`. */
function anchors(text: string): ReadonlySet<string> {
  return new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^a-z0-9 _-]/g, '')
        .replaceAll(' ', '-'),
    ),
  )
}

const test = suite('pages')

test('link to files and headings that exist', () => {
  assert.ok(pages.length > 15)
  for (const { path, text } of pages)
    for (const [, target, anchor] of text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
      const file = target === '' ? path : posix.normalize(posix.join(dirname(path), target!))
      assert.ok(existsSync(join(packageRoot, file)), `${path}: no ${file}`)
      if (anchor !== undefined)
        assert.ok(anchors(readFileSync(join(packageRoot, file), 'utf8')).has(anchor), `${path}: no ${file}#${anchor}`)
    }
})

test('name source files that exist', () => {
  let found = 0
  for (const { path, spans } of pages)
    for (const span of spans)
      for (const [name] of span.matchAll(/(?<![\w./-])(?:[a-z0-9-]+\/)+[a-z0-9-]+\.(?:ts|proto)\b/g)) {
        found++
        assert.ok(
          files.some((file) => file === name || file.endsWith(`/${name}`)),
          `${path}: no ${name}`,
        )
      }
  assert.ok(found > 20, `${found} files`)
})

test('show commands and flags that the program has', () => {
  let found = 0
  for (const { path, spans } of pages)
    for (const words of spans.flatMap(commandLines)) {
      let at = 0
      while (words[at]?.startsWith('--')) at += settings.includes(words[at]!) && !words[at]!.includes('=') ? 2 : 1
      const command = commands.get(words[at]!)
      if (command === undefined) {
        assert.ok(!/^[a-z][a-z-]+$/.test(words[at] ?? ''), `${path}: no command in 'manyhands ${words.join(' ')}'`)
        continue
      }
      found++
      const known = new Set([...settings, ...flagsOf(command), '--help'])
      const passed = words.indexOf('--')
      for (const word of passed < 0 ? words : words.slice(0, passed)) {
        const flag = /^--[a-z-]+/.exec(word)?.[0]
        assert.ok(flag === undefined || known.has(flag), `${path}: no ${flag} in 'manyhands ${words.join(' ')}'`)
      }
    }
  assert.ok(found > 60, `${found} commands`)
})

test('show scripts of package.json, with long runs and scenarios that exist', () => {
  const { scripts } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const says = (folder: string, name: string) =>
    sources.some(({ path, text }) => path.startsWith(folder) && text.includes(`'${name}'`))
  let found = 0
  for (const { path, spans } of pages)
    for (const span of spans)
      for (const [line, name, rest = ''] of span.matchAll(/npm run (?:--silent )?([a-z:]+)((?: [^|&;#]+)?)/g)) {
        found++
        assert.ok(scripts[name!], `${path}: no script ${name}`)
        const long = name === 'soak' ? /^ -- ([a-z0-9-]+)/.exec(rest)?.[1] : undefined
        assert.ok(long === undefined || says('test/soak/', long), `${path}: ${line}`)
        const scenario = /--scenario ([a-z0-9-]+)/.exec(rest)?.[1]
        assert.ok(scenario === undefined || says('test/simulation/', scenario), `${path}: ${line}`)
      }
  assert.ok(found > 20, `${found} scripts`)
})

test('name constants that the code has', () => {
  const code = sources.map(({ code }) => code).join('\n')
  for (const { path, spans } of pages)
    for (const span of spans)
      if (/^[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+$/.test(span) && !span.startsWith('MANYHANDS_'))
        assert.ok(new RegExp(`\\b${span}\\b`).test(code), `${path}: no ${span}`)
})

const protocol = pages.find(({ path }) => path === 'docs/protocol.md')!.text

test('protocol.md lists every error code with its status, and whether to try again', () => {
  const rows = [...protocol.matchAll(/^\| ((?:`[a-zA-Z]+`(?:, )?)+) \| ([A-Z_]+) \| (yes|no) \|$/gm)].flatMap(
    ([, codes, name, again]) => [...codes!.matchAll(/[a-zA-Z]+/g)].map(([code]) => [code, name, again === 'yes']),
  )
  const known = ERROR_CODES.map((code) => {
    const error = new GridError(code, '')
    return [code, status[toStatus(error).code], error.retryable]
  })
  assert.equal(rows.sort(), known.sort())
})

test('protocol.md lists every tag that is signed', () => {
  const tags = new Set([...product.matchAll(/\b(?:sign|verify)\('([a-z-]+)'/g)].map(([, tag]) => tag!))
  assert.ok(tags.size > 5, [...tags].join(' '))
  for (const tag of tags) assert.match(protocol, new RegExp(`^\\| \`${tag}\` \\|`, 'm'))
})

test('protocol.md lists every method, and no other', () => {
  const from = protocol.indexOf('| method |')
  const listed = protocol
    .slice(from, protocol.indexOf('\n## ', from))
    .split('\n')
    .flatMap((row) => {
      const names = [...(row.split('|')[1] ?? '').matchAll(/`([A-Za-z/]+)`/g)].map(([, name]) => name!)
      const service = names[0]?.split('/')[0]
      return names.map((name) => (name.includes('/') ? name : `${service}/${name}`))
    })
  const overlay = readFileSync(join(packageRoot, 'proto/manyhands/v1/overlay.proto'), 'utf8')
  const known = [
    ...[...overlay.matchAll(/^\s*rpc (\w+)/gm)].map(([, name]) => `Overlay/${name}`),
    ...Object.values(methods).map(({ path }) => path.replace('/manyhands.v1.', '')),
  ]
  assert.equal([...listed].sort(), known.sort())
})

const limits = readFileSync(join(packageRoot, 'docs', 'limits.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| ---') && !line.startsWith('| what'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
const quoted = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text!)

test('limits.md names limits that the code has', () => {
  assert.ok(limits.length > 20)
  for (const [, what, , names] of limits)
    for (const name of quoted(names))
      assert.ok(new RegExp(`\\b${name}\\b`).test(product), `${what}: no ${name} in the code`)
})

test('limits.md quotes messages that the code says', () => {
  for (const [, what, , , refusal] of limits)
    for (const message of quoted(refusal)) assert.ok(product.includes(message), `${what}: nothing says '${message}'`)
})

test.run()
