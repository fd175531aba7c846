import { Option } from 'commander'
import { listUnits } from '../../client/follow/units.js'
import { parseSelection } from '../../job/units/selection.js'
import { UNITS_MAX } from '../../proto/limits.js'
import type { UnitState } from '../../proto/model.js'
import { printable } from '../../proto/printable.js'
import { GridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import { sameNetworkFlags } from '../context.js'
import { withConnection } from '../grid/connect.js'
import { checkUnit, resolveJob, shortId } from '../jobs/job-view.js'
import { flagValue, suggest, whole } from '../settings/flags.js'
import { EXIT } from '../terminal/exit-codes.js'
import { foldLines } from '../terminal/fill.js'

const STATES: readonly UnitState[] = ['open', 'accepted', 'settled', 'disputed', 'held', 'failed']
/** Units listed for people unless they ask for more. */
const SHOWN = 1_000
/** Columns are set up before the first unit is known, as millions may follow. */
const DIGEST_DIGITS = 8
const WIDTHS = [7, 8, 9, 7, 6, 8, DIGEST_DIGITS] as const

/** `manyhands units`: a job unit by unit. */
export function defineUnits(commands: CommandTable): void {
  commands
    .add('units <job>', 'list the units of a job', async (context, [text], options) => {
      const states = readStates(options.state as string | undefined)
      const units = options.units === undefined ? undefined : parseSelection(String(options.units))
      const limit = readLimit(options.limit as string | undefined, context.output.json ? UNITS_MAX : SHOWN)
      return withConnection(context, async (connection) => {
        const { output, interrupts } = context
        const job = await connection.client.job(await resolveJob(connection, text!))
        for (const { first } of units ?? []) checkUnit(job.spec, first)
        const line = (text: string) => output.line(output.width === undefined ? text : foldLines(text, output.width))
        let listed = 0
        let firstFailed: number | undefined
        let firstCrashed: number | undefined
        const found = listUnits(connection.client, job, {
          limit: limit + 1,
          signal: interrupts.first,
          ...(states === undefined ? {} : { states }),
          ...(units === undefined ? {} : { units }),
        })
        for await (const { unit, shard, state, instances, answers, errors, result, waiting } of found) {
          if (++listed > limit) break
          if (state === 'failed') firstFailed ??= unit
          if (result?.outcome === 'trap') firstCrashed ??= unit
          if (!output.json && listed === 1)
            line(row(['UNIT', 'STATE', 'COMPUTING', 'ANSWERS', 'ERRORS', 'OUTCOME', 'DIGEST', 'WAITS']))
          if (output.json)
            output.value({ unit, shard, state, instances, answers, errors, result: result ?? null, waiting })
          else
            line(
              row([
                unit,
                state,
                instances,
                answers,
                errors,
                result?.outcome ?? '',
                result?.digest.slice(0, DIGEST_DIGITS) ?? '',
                waiting,
              ]),
            )
        }
        if (listed > limit) output.note(`... and more; --limit N or --units SEL shows them`)
        else if (listed === 0) output.note('no such units')
        if (firstFailed !== undefined) {
          const id = shortId(job.jobId)
          const flags = sameNetworkFlags(context)
          const why = firstCrashed === undefined ? 'why:        ' : 'why, where: '
          output.note(
            [
              `  ${why}  manyhands results ${id} --failed${flags}`,
              `  run it here:  manyhands replay ${id} ${firstCrashed ?? firstFailed}${flags}`,
            ].join('\n'),
          )
        }
        return EXIT.ok
      })
    })
    .addOption(suggest(new Option('--state <state>', `only those in these states: ${STATES.join(', ')}`), STATES))
    .option('--units <sel>', 'only these: 0-9,17')
    .option('--limit <n>', `how many at most (${SHOWN}; with --json all)`)
    .addHelpText(
      'after',
      '\nWith --json: one unit a line.\n\nExamples:\n  manyhands units last --state failed\n  manyhands units 3fa9 --units 0-99 --json',
    )
}

function row(cells: readonly (string | number)[]): string {
  return cells
    .map((cell, column) =>
      typeof cell === 'number'
        ? String(cell).padStart(WIDTHS[column] ?? 0)
        : printable(cell).padEnd(WIDTHS[column] ?? 0),
    )
    .join('  ')
    .trimEnd()
}

function readStates(text: string | undefined): readonly UnitState[] | undefined {
  if (text === undefined) return undefined
  const states = text.split(',').map((state) => state.trim())
  const wrong = states.find((state) => !STATES.includes(state as UnitState))
  if (wrong !== undefined)
    throw new GridError('invalid', `'${wrong}' is no state of a unit`, { hint: `states: ${STATES.join(' ')}` })
  return states as UnitState[]
}

function readLimit(text: string | undefined, otherwise: number): number {
  return flagValue('--limit', text, (limit) => whole(limit, 1, UNITS_MAX)) ?? otherwise
}
