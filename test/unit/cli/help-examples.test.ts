import type { Command } from 'commander'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { splitLine } from '../../../cli/completion/line.js'
import { givenFlags } from '../../../cli/job-options/job-flags.js'
import { readJobOptions } from '../../../cli/job-options/job-options.js'
import { buildProgram, splitPassed } from '../../../cli/program.js'

const examples = suite('examples in help')

/** Commands of which the shell's own completion or the library makes part. */
const WITHOUT: ReadonlySet<string> = new Set(['help'])
/** Commands whose flags describe a job. */
const OF_JOBS: ReadonlySet<string> = new Set(['submit', 'run-local', 'map', 'retry'])

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({
    writeOut: (part) => {
      text += part
    },
  })
  command.outputHelp()
  return text
}

/** Command lines in a text: `  NAME=value manyhands ...`, also behind a pipe; without what the shell does with them. */
function commandLines(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s{2,}(?:.*\| )?(?:[A-Z_]+=\S+ )*(manyhands .*)$/.exec(line)
    return match === null ? [] : [match[1]!.replace(/ (?:[0-9]?>|<|\||&&|#|;).*$/, '').trim()]
  })
}

/** Runs a line up to where its action would begin. Throws what a person would see. */
async function parse(line: string): Promise<string> {
  const { typed, passed } = splitPassed(splitLine(line).slice(1))
  let named = ''
  const program = await buildProgram(async (_, command) => {
    named = command.name()
    const options = command.optsWithGlobals<Record<string, unknown>>()
    if (passed !== undefined) assert.ok(OF_JOBS.has(named), 'words after -- are for tasks')
    if (OF_JOBS.has(named)) readJobOptions(givenFlags(options))
  })
  for (const command of [program, ...program.commands])
    command.exitOverride().configureOutput({ writeOut: () => {}, writeErr: () => {} })
  await program.parseAsync(typed, { from: 'user' })
  return named
}

for (const command of (await buildProgram(async () => {})).commands) {
  const name = command.name()
  if (WITHOUT.has(name)) continue
  examples(`${name} has examples of itself, and each can be typed as it stands`, async () => {
    const lines = commandLines(helpOf(command))
    assert.ok(
      lines.some((line) => splitLine(line).includes(name)),
      'there is an example',
    )
    for (const line of lines) {
      try {
        await parse(line)
      } catch (error) {
        throw new Error(`${line}: ${(error as Error).message}`)
      }
    }
  })
}

examples('the help of the whole has some, too, and one with a mistake is found', async () => {
  const program = await buildProgram(async () => {})
  let text = ''
  program.configureOutput({
    writeOut: (part) => {
      text += part
    },
  })
  program.outputHelp()
  // These stand behind their titles.
  const lines = [...text.matchAll(/^\S.*: {2,}(manyhands .*)$/gm)].map((match) => match[1]!)
  assert.ok(lines.length >= 4, `${lines.length} examples`)
  for (const line of lines) await parse(line)
  for (const wrong of [
    'manyhands shwo last',
    'manyhands submit primes --rnage 1',
    'manyhands submit primes --quorum x',
  ]) {
    let isFound = false
    await parse(wrong).catch(() => {
      isFound = true
    })
    assert.ok(isFound, wrong)
  }
})

examples.run()
