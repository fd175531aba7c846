import { Command, CommanderError } from 'commander'
import { checkDataDirectory } from '../overlay/identity/data-directory.js'
import { GridError } from '../runtime/errors.js'
import { VERSION } from '../runtime/version.js'
import { COMMAND_FILES } from './command-list.js'
import type { Action, CommandTable } from './command-table.js'
import type { CommandContext, Surroundings } from './context.js'
import { type FlagValues, LISTS, resolveSettings, type SettingName, settingHelp } from './settings/config.js'
import { camel, flagOption } from './settings/flags.js'
import { EXIT, EXIT_CODES_HELP, type ExitCode, exitCodeOf } from './terminal/exit-codes.js'
import { fillText, HELP_COLUMNS } from './terminal/fill.js'
import { aborting, InterruptedError } from './terminal/interrupts.js'
import { Output } from './terminal/output.js'

const GLOBAL_FLAGS: readonly (readonly [flags: string, setting: SettingName])[] = [
  ['--join <host>', 'join'],
  ['--network <name>', 'network'],
  ['--secret-file <file>', 'secret-file'],
  ['--data <dir>', 'data'],
]

/** What a command does once its words are taken apart: called with its action. */
type OnAction = (action: Action, command: Command) => Promise<void>

/** Every command with its options, ready to be run once or to be listed. `onAction` is called by the command that was named. */
export function buildProgram(onAction: OnAction): Promise<Command> {
  return addCommands(bareProgram(), COMMAND_FILES, onAction)
}

/** The program with what all commands share, and none of them. */
function bareProgram(): Command {
  const program = new Command('manyhands')
    .description('Volunteer computing without a server: submit jobs, donate CPU, check results.')
    .option('--version', 'print the version')
    .helpOption('--help', 'explain a command')
    .helpCommand('help [command]', 'explain a command')
    .showHelpAfterError(false)
    .showSuggestionAfterError(true)
    .exitOverride()
  for (const [flags, setting] of GLOBAL_FLAGS)
    program.addOption(flagOption(flags, settingHelp[setting], LISTS.has(setting)))
  program
    .option('--config <file>', 'configuration file to read')
    .option('--json', 'print JSON: one value, or one a line')
    .option('--quiet', 'print the answer and errors, nothing else')
    .option('--verbose', 'say more: the log of the process, stacks of internal errors')
    .addHelpText(
      'after',
      [
        '',
        'A first try:         manyhands demo',
        'Donate CPU:          manyhands work --join HOST',
        'Compute something:   manyhands submit primes --range 0..10^9:10^7 --wait',
        'A program of yours:  manyhands submit ./prog.wasm --count 100 --wait -- {i} {n}',
        '',
        'JOB is an id, four or more of its first digits, or "last".',
        'Settings come from flags, MANYHANDS_* variables, the configuration file, defaults, in this order.',
        '',
        'Exit codes:',
        EXIT_CODES_HELP,
      ].join('\n'),
    )
  program.on('option:version', () => {
    throw new CommanderError(0, 'commander.version', VERSION)
  })
  return program
}

async function addCommands(program: Command, files: typeof COMMAND_FILES, onAction: OnAction): Promise<Command> {
  const table: CommandTable = {
    add(usage, summary, action) {
      const command = program
        .command(usage)
        .description(summary)
        .helpOption('--help', 'explain this command')
        .configureHelp({ showGlobalOptions: false })
        .action(() => onAction(action, command))
      return command
    },
  }
  const defines = await Promise.all(files.map((file) => file.load()))
  for (const define of defines) define(table)
  return program
}

/** The files that a command line needs: that of the command it names, or all for whoever has to be told what there is. */
function filesFor(program: Command, typed: readonly string[]): typeof COMMAND_FILES {
  const { named } = commandNamed(program, typed)
  const file = COMMAND_FILES.find(({ names }) => named !== undefined && names.includes(named))
  return file === undefined || file.tellsOfAll ? COMMAND_FILES : [file]
}

/** Runs one command line (without node and program name) to its end and gives the exit code. Throws what loading its file throws. */
export async function runCommandLine(argv: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  const { typed, passed } = splitPassed(argv)
  const { environment } = surroundings.platform
  const has = (flag: string) => typed.includes(flag)
  const output = new Output({
    stdout: surroundings.stdout,
    stderr: surroundings.stderr,
    json: has('--json'),
    quiet: has('--quiet'),
    verbose: has('--verbose'),
    noColor: (environment.NO_COLOR ?? '') !== '',
    dumb: environment.TERM === 'dumb',
  })
  let code: ExitCode = EXIT.ok
  const program = bareProgram()
  const onAction: OnAction = async (action, command) => {
    const options = command.optsWithGlobals<Record<string, unknown>>()
    const config = resolveSettings({
      flags: flagsOf(options),
      environment,
      platform: surroundings.platform,
      file: options.config as string | undefined,
    })
    if (passed !== undefined && !TAKES_ARGUMENTS.has(command.name())) {
      throw new GridError('invalid', `'${command.name()}' takes no words after --`)
    }
    if (!NEEDS_NO_DATA.has(command.name())) checkDataDirectory(config.settings.data.value)
    const context: CommandContext = { ...surroundings, output, config, settings: config.settings, passed, typed }
    code = await untilInterrupted(action(context, command.args, options), context, command.name())
  }
  await addCommands(program, filesFor(program, typed), onAction)
  forEachCommand(program, (command) => {
    command.exitOverride().configureOutput({
      writeOut: (text) => output.line(fillText(text, output.width ?? HELP_COLUMNS)),
      writeErr: () => {},
    })
  })
  try {
    await program.parseAsync([...knownWords(program, typed)], { from: 'user' })
    return code
  } catch (error) {
    return endOf(surroundings.interrupts.first.aborted ? new InterruptedError() : error, output, program, typed)
  }
}

/** The word that stands where the command does, past global flags and `help`, and where the first of both stands. */
function commandNamed(program: Command, typed: readonly string[]): { readonly at: number; readonly named?: string } {
  let at = 0
  while (typed[at]?.startsWith('-')) at += program.options.find(({ long }) => long === typed[at])?.required ? 2 : 1
  const named = typed[at] === 'help' ? typed[at + 1] : typed[at]
  return named === undefined || named.startsWith('-') ? { at } : { at, named }
}

/** `help` and `--help` of a command that does not exist explain nothing: the word alone is an error that says so. */
function knownWords(program: Command, typed: readonly string[]): readonly string[] {
  const { at, named } = commandNamed(program, typed)
  if (named === undefined || named === 'help') return typed
  return program.commands.some((command) => command.name() === named) ? typed : [...typed.slice(0, at), named]
}

/** Commands that do something of their own at the first Ctrl-C: finish, detach, clean up. The others just end. */
const MINDS_INTERRUPT: ReadonlySet<string> = new Set([
  'node',
  'work',
  'submit',
  'map',
  'run-local',
  'watch',
  'wait',
  'results',
  'replay',
  'top',
  'verify',
  'demo',
])

/** `running`, or InterruptedError at the Ctrl-C that the command named leaves to us: the second one, of most. */
function untilInterrupted(running: Promise<ExitCode>, context: CommandContext, name: string): Promise<ExitCode> {
  const { first, second } = context.interrupts
  const interrupted = aborting(MINDS_INTERRUPT.has(name) ? second : first).then(() => {
    // A demo that is interrupted again while it stops its processes still has to stop them.
    if (name === 'demo') return running
    throw new InterruptedError()
  })
  return Promise.race([running, interrupted])
}

/** Commands that read nothing in the data directory, say themselves what is wrong with it, or may name another. */
const NEEDS_NO_DATA: ReadonlySet<string> = new Set([
  'run-local',
  'check',
  'stats',
  'tasks',
  'network',
  'doctor',
  'config',
  'completion',
  'demo',
])

/** Commands that hand words after `--` to the program of a job. */
const TAKES_ARGUMENTS: ReadonlySet<string> = new Set(['submit', 'run-local', 'map'])

function endOf(error: unknown, output: Output, program: Command, typed: readonly string[]): ExitCode {
  if (error instanceof InterruptedError) {
    output.note('interrupted')
    return EXIT.interrupted
  }
  if (error instanceof CommanderError) {
    if (error.code === 'commander.helpDisplayed') return EXIT.ok
    if (error.code === 'commander.version') {
      output.answer(VERSION, { version: VERSION })
      return EXIT.ok
    }
    if (error.code === 'commander.help') {
      // No command at all: commander has shown nothing yet, as its text for errors is silent.
      output.line(fillText(program.helpInformation(), output.width ?? HELP_COLUMNS))
      return typed.length === 0 ? EXIT.usage : EXIT.ok
    }
    output.error(usageError(error, program, typed))
    return EXIT.usage
  }
  const failure = output.error(error)
  if (failure.code === 'internal' && !output.verbose) output.note('  run it again with --verbose for details')
  return exitCodeOf(failure)
}

function usageError(error: CommanderError, program: Command, typed: readonly string[]): GridError {
  const named = program.commands.find((command) => typed.includes(command.name()))
  const [first = '', ...suggestion] = error.message.replace(/^error: /, '').split('\n')
  const advice = suggestion.map((line) => line.replace(/^\(|\)$/g, '').trim()).filter((line) => line !== '')
  const help = named === undefined ? 'manyhands --help' : `manyhands ${named.name()} --help`
  const tooMany = error.code === 'commander.excessArguments' && TAKES_ARGUMENTS.has(named?.name() ?? '')
  const source = tooMany
    ? typed.find((word, i) => typed[i - 1] !== '--range' && /^[0-9^e_]+\.\.[0-9^e_]+/.test(word))
    : undefined
  if (source !== undefined) advice.push(`units come from a source:  --range ${source}`)
  else if (tooMany)
    advice.push('arguments of the program go after --:  manyhands submit primes --range 0..100 -- {start} {end}')
  return new GridError('invalid', first, { hint: [...advice, `see '${help}'`].join('\n') })
}

function forEachCommand(command: Command, visit: (command: Command) => void): void {
  visit(command)
  for (const child of command.commands) forEachCommand(child, visit)
}

/** Cuts a command line at its first `--`. */
export function splitPassed(argv: readonly string[]): {
  typed: readonly string[]
  passed: readonly string[] | undefined
} {
  const at = argv.indexOf('--')
  return at < 0 ? { typed: argv, passed: undefined } : { typed: argv.slice(0, at), passed: argv.slice(at + 1) }
}

function flagsOf(options: Readonly<Record<string, unknown>>): FlagValues {
  const flags: Partial<Record<SettingName, string | readonly string[]>> = {}
  for (const name of Object.keys(settingHelp) as SettingName[]) {
    const value = options[camel(name)]
    // `--memory` of a job is not the setting of the same name: commands that mean the setting take it over themselves.
    if (typeof value === 'string' && SETTING_FLAGS.has(name)) flags[name] = value
  }
  return flags
}

/** Settings that are flags with the same meaning wherever they stand. */
const SETTING_FLAGS: ReadonlySet<SettingName> = new Set([
  'join',
  'network',
  'secret-file',
  'data',
  'listen',
  'advertise',
  'cpus',
  'metrics',
  'log-format',
])
