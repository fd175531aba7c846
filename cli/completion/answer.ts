import { resolve } from 'node:path'
import { printable } from '../../proto/printable.js'
import type { PlatformSurroundings } from '../../runtime/platform.js'
import { type CompletionCache, readCache, readJobs, writeCache } from './cache.js'
import { offer } from './candidates.js'
import { afterBashBreak, splitLine } from './line.js'

/** The word that asks for completion in place of a command; the scripts of {@link completionScript} say it. */
export const COMPLETE = '__complete'
/** First line of an answer: names of files or folders may stand there, too. */
const PATHS_MARK = ':'

/**
 * Answers a shell: `__complete SHELL WORD...` with the words up to the cursor, program first, or for bash
 * `__complete bash LINE LISTING`. A first line `:files`, `:folders` or `:none`, then a candidate a line: with a tab and
 * what it means, for bash only when it lists them. Asks no peer. `make` gives what is not cached.
 */
export async function answerCompletion(
  argv: readonly string[],
  platform: PlatformSurroundings,
  make: () => Promise<CompletionCache>,
): Promise<string> {
  const [shell, ...rest] = argv
  const words = shell === 'bash' ? splitLine(rest[0] ?? '').slice(1) : rest.slice(1)
  let cache = readCache(platform)
  if (cache === undefined) {
    cache = await make()
    writeCache(platform, cache)
  }
  const { candidates, paths } = offer(cache.tree, words, readJobs(dataFolder(words, platform, cache)))
  const typed = words.at(-1) ?? ''
  const isListing = rest[1] === 'list' && candidates.length > 1
  const width = Math.max(0, ...candidates.map(({ value }) => value.length))
  const lines = candidates.map(({ value, about }) => {
    const text = printable(about)
    if (shell !== 'bash') return text === '' ? value : `${value}\t${text}`
    const word = afterBashBreak(typed, value)
    return isListing && text !== '' ? `${word.padEnd(width)}  (${text})` : word
  })
  return `${[`${PATHS_MARK}${paths}`, ...lines].join('\n')}\n`
}

function dataFolder(
  words: readonly string[],
  { environment }: PlatformSurroundings,
  { data }: CompletionCache,
): string {
  const at = words.indexOf('--data')
  const named = at >= 0 && at < words.length - 2 ? words[at + 1] : undefined
  const joined = words.find((word) => word.startsWith('--data='))?.slice('--data='.length)
  return resolve(named ?? joined ?? environment.MANYHANDS_DATA ?? data)
}
