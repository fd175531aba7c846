import { existsSync, readFileSync } from 'node:fs'
import { SourceMap, type SourceMapPayload } from 'node:module'
import { dirname, resolve } from 'node:path'

const PLACE = /(?:file:\/\/)?(\/[^\s():]+\.js):(\d+):(\d+)/g

/**
 * `text` with places in compiled files turned into those of their sources, where a map lies beside the file. Done to what failed:
 * Node's own way reads every map at the start of every process, which is a tenth of what a process of this project takes to load.
 */
export function withSourcePlaces(text: string): string {
  const maps = new Map<string, SourceMap | undefined>()
  return text.replace(PLACE, (place, file: string, line: string, column: string) => {
    if (!maps.has(file)) maps.set(file, mapOf(file))
    const origin = maps.get(file)?.findEntry(Number(line) - 1, Number(column) - 1)
    if (origin === undefined || !('originalSource' in origin)) return place
    const source = resolve(dirname(file), origin.originalSource)
    return `${source}:${origin.originalLine + 1}:${origin.originalColumn + 1}`
  })
}

function mapOf(file: string): SourceMap | undefined {
  const map = `${file}.map`
  return existsSync(map) ? new SourceMap(JSON.parse(readFileSync(map, 'utf8')) as SourceMapPayload) : undefined
}
