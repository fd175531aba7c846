import { existsSync } from 'node:fs'
import { Option } from 'commander'
import { formatDuration, parseDuration } from '../../job/quantity.js'
import { GridError } from '../../runtime/errors.js'
import { dayOf, type SettledRow } from '../../worker/ledger.js'
import type { CommandTable } from '../command-table.js'
import type { CommandContext } from '../context.js'
import { preferencesOfFile } from '../settings/config.js'
import { flagValue } from '../settings/flags.js'
import { eachOnce, exportText, type LedgerSource, readSource } from '../stats/sources.js'
import {
  dayText,
  GROUPINGS,
  type Group,
  type Grouping,
  groupRows,
  type Sum,
  scaledText,
  sumRows,
} from '../stats/sums.js'
import { EXIT } from '../terminal/exit-codes.js'
import { plural, table } from '../terminal/output.js'
import { writeNamed } from '../terminal/written-file.js'

/** Digits of a job's and of a submitter's id that are shown. */
const ID_DIGITS = 12
const SUM_HEADINGS = ['AGREED', 'DISAGREED', 'COMPUTING', 'FUEL']

/** `manyhands stats`: what this donor gave, from the ledgers of its machines. Asks no peer. */
export function defineStats(commands: CommandTable): void {
  commands
    .add('stats [source...]', 'what this machine, or several, gave: settled units', async (context, named, options) => {
      const { output, settings, clock } = context
      const by = options.by as Grouping
      const since = flagValue('--since', options.since, (text) => sinceDay(text, clock.wallMs()))
      if (typeof options.export === 'string' && (named.length > 0 || since !== undefined))
        throw new GridError('invalid', '--export writes the whole ledger of this machine, nothing less')
      // Where nothing was ever done there is no directory yet; a misspelt one is told.
      const { value: own, origin } = settings.data
      const sources = named.length > 0 ? named : origin === 'default' && !existsSync(own) ? [] : [own]
      const read = await Promise.all(sources.map(readSource))
      const { used, superseded } = eachOnce(read.filter((source) => source !== undefined))
      for (const [i, path] of named.entries()) if (read[i] === undefined) output.note(`no worker has run in ${path}`)
      for (const { source } of superseded) output.note(`${source} is an earlier state of another one, and left out`)
      if (typeof options.export === 'string') {
        exportLedger(context, options.export, used[0])
        return EXIT.ok
      }
      const all = used.flatMap(({ rows }) => rows)
      const rows = since === undefined ? all : all.filter(({ day }) => day >= since)
      const total = sumRows(rows)
      const groups = groupRows(rows, by)
      const names = namesOfKeys(context)
      output.answer(textOf({ by, used, groups, names, total, isPart: rows.length < all.length, whole: sumRows(all) }), {
        by,
        sinceDay: since === undefined ? null : dayText(since),
        total: total === undefined ? null : jsonOf(total),
        groups: groups.map((group) => ({ ...jsonOf(group), ...namedField(names, group) })),
        sources: used.map(({ id, source, sinceMs, rows }) => ({ ledger: id, source, sinceMs, ...countsOf(rows) })),
      })
      if (all.length === 0) output.note('nothing is settled yet; donate CPU with: manyhands work --join HOST')
      else if (total === undefined) output.note('nothing was settled in this time')
      return EXIT.ok
    })
    .option('--since <time>', 'from this long ago, or this day: 30d, 2026-10-01 (the beginning)')
    .addOption(new Option('--by <what>', 'add up by').choices(GROUPINGS).default('day'))
    .option('--export <file>', 'write this ledger to a file for another machine (-: to standard output)')
    .addHelpText(
      'after',
      [
        '',
        'Counts units that their owners have called settled, each once: AGREED with what others computed, or not. COMPUTING',
        'is time on threads, FUEL steps of work, both of units that agreed. Days are in UTC. Works while the worker runs.',
        'A source is a data directory, or a file that --export wrote; several are added up, and one that is named twice',
        'counts once. Without any: the data directory of this machine. [names] of the configuration file stand for submitters.',
        '',
        'Examples:',
        '  manyhands stats',
        '  manyhands stats --since 30d --by job',
        '  manyhands stats --export nas.json',
        '  manyhands stats nas.json gaming-pc.json ~/.local/share/manyhands --by submitter',
      ].join('\n'),
    )
}

/** The first day that counts. Throws GridError `invalid`. */
function sinceDay(text: string, nowMs: number): number {
  if (/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text)) {
    const atMs = Date.parse(`${text}T00:00:00Z`)
    if (Number.isFinite(atMs) && dayText(dayOf(atMs)) === text) return dayOf(atMs)
    throw new GridError('invalid', `there is no day ${text}`)
  }
  return dayOf(nowMs - parseDuration(text))
}

function exportLedger(context: CommandContext, file: string, ledger: LedgerSource | undefined): void {
  const { output } = context
  if (ledger === undefined)
    throw new GridError('invalid', 'no worker has run here: there is nothing to export', {
      hint: 'name its directory: --data DIR',
    })
  const text = exportText(ledger)
  if (file === '-') {
    output.line(text)
    return
  }
  writeNamed(file, text)
  output.answer('', { file, ledger: ledger.id, ...countsOf(ledger.rows) })
  output.note(`wrote ${plural(ledger.rows.length, 'row')}; on another machine: manyhands stats ${file} OTHER...`)
}

interface Shown {
  readonly by: Grouping
  readonly used: readonly LedgerSource[]
  readonly groups: readonly Group[]
  readonly names: ReadonlyMap<string, string>
  readonly total: Sum | undefined
  readonly isPart: boolean
  readonly whole: Sum | undefined
}

function textOf({ by, used, groups, names, total, isPart, whole }: Shown): string {
  if (total === undefined) return ''
  const parts = [
    table([...HEADINGS[by], ...SUM_HEADINGS], [...groups.map((group) => rowOf(group, by, names)), totalRow(total, by)]),
  ]
  if (used.length > 1) {
    const rows = used.map(({ source, sinceMs, rows }) => {
      const { agreed, disagreed } = countsOf(rows)
      return [source, dayText(dayOf(sinceMs)), agreed, disagreed]
    })
    parts.push(table(['SOURCE', 'SINCE', 'AGREED', 'DISAGREED'], rows))
  }
  if (isPart && whole !== undefined)
    parts.push(
      `since ${dayText(whole.firstDay)}: ${plural(whole.agreed, 'unit')} agreed, ${formatDuration(whole.computeMs)} of computing`,
    )
  return parts.join('\n\n')
}

const HEADINGS: Readonly<Record<Grouping, readonly string[]>> = {
  day: ['DAY', 'JOBS'],
  job: ['JOB', 'NAME', 'SUBMITTER', 'LAST'],
  submitter: ['SUBMITTER', 'JOBS', 'LAST'],
}

function rowOf(group: Group, by: Grouping, names: ReadonlyMap<string, string>): (string | number)[] {
  const { jobs, lastDay } = group
  const key = group.submitter ?? ''
  const submitter = (names.get(key) ?? key.slice(0, ID_DIGITS)) || '(not known)'
  const own = {
    day: () => [dayText(group.day!), jobs],
    job: () => [group.jobId!.slice(0, ID_DIGITS) || '(older jobs)', group.jobName!, submitter, dayText(lastDay)],
    submitter: () => [submitter, jobs, dayText(lastDay)],
  }
  return [...own[by](), ...sumCells(group)]
}

function totalRow(total: Sum, by: Grouping): (string | number)[] {
  const { jobs, lastDay } = total
  const own = {
    day: ['total', jobs],
    job: ['total', plural(jobs, 'job'), '', dayText(lastDay)],
    submitter: ['total', jobs, dayText(lastDay)],
  }
  return [...own[by], ...sumCells(total)]
}

function sumCells({ agreed, disagreed, computeMs, fuel }: Sum): (string | number)[] {
  return [agreed, disagreed, formatDuration(computeMs), scaledText(fuel)]
}

/** Names that the configuration file gives to keys, by key. */
function namesOfKeys({ config }: CommandContext): ReadonlyMap<string, string> {
  return new Map([...preferencesOfFile(config.file).names].map(([name, key]) => [key, name]))
}

function namedField(names: ReadonlyMap<string, string>, { submitter = '' }: Group): { submitterName?: string } {
  const name = names.get(submitter)
  return name === undefined ? {} : { submitterName: name }
}

/** With days as text; fuel goes out as decimal text, as all bigints do. */
function jsonOf({ day, firstDay, lastDay, computeMs, ...sum }: Group): Record<string, unknown> {
  return {
    ...(day !== undefined && { day: dayText(day) }),
    ...sum,
    computeSeconds: Math.round(computeMs) / 1_000,
    firstDay: dayText(firstDay),
    lastDay: dayText(lastDay),
  }
}

function countsOf(rows: readonly SettledRow[]): { agreed: number; disagreed: number } {
  return {
    agreed: rows.reduce((sum, { agreed }) => sum + agreed, 0),
    disagreed: rows.reduce((sum, { disagreed }) => sum + disagreed, 0),
  }
}
