import type { Argument, Command, Option } from 'commander'
import { suggestionsOf } from '../settings/flags.js'

/**
 * What may stand in one place of a command line. `jobs`: ids of jobs; `units`: the same, or JOB/UNIT; `tasks`: names of tasks, or
 * a program's file.
 */
type ValueKind = 'none' | 'text' | 'files' | 'folders' | 'jobs' | 'units' | 'tasks' | 'commands'

/** A value of a flag or an argument. */
export interface ValueNode {
  readonly kind: ValueKind
  /** Words to choose from; others may be possible. */
  readonly words: readonly string[]
  readonly variadic: boolean
}

/** A flag of a command, or of all. */
export interface FlagNode {
  /** `-o` and `--output`, or one of them. */
  readonly names: readonly string[]
  readonly about: string
  /** Kind `none`: a switch. */
  readonly value: ValueNode
}

/** A command with its flags and its arguments in their order. */
export interface CommandNode {
  readonly name: string
  readonly about: string
  readonly flags: readonly FlagNode[]
  readonly args: readonly ValueNode[]
}

/** All that completion needs to know of the command line, as plain data. */
export interface CompletionTree {
  readonly commands: readonly CommandNode[]
  /** Flags that every command takes. */
  readonly flags: readonly FlagNode[]
  /** Tasks that are installed. */
  readonly tasks: readonly { readonly name: string; readonly about: string }[]
}

/** What completion may offer, taken from the commands as they are defined. */
export function treeOf(program: Command, tasks: CompletionTree['tasks']): CompletionTree {
  const help = program.createHelp()
  const commands = help.visibleCommands(program).map((command): CommandNode => {
    const isHelp = command.name() === 'help'
    return {
      name: command.name(),
      about: command.description(),
      flags: help.visibleOptions(command).map(flagNode),
      args: isHelp ? [{ kind: 'commands', words: [], variadic: false }] : command.registeredArguments.map(argumentNode),
    }
  })
  return { commands, flags: help.visibleOptions(program).map(flagNode), tasks }
}

function flagNode(option: Option): FlagNode {
  const names = [option.short, option.long].filter((name) => name !== undefined)
  const takesValue = option.required || option.optional
  return { names, about: option.description, value: takesValue ? valueNode(option) : NO_VALUE }
}

const NO_VALUE: ValueNode = { kind: 'none', words: [], variadic: false }

function valueNode(option: Option): ValueNode {
  const placeholder = /[<[]([^>\]]*)[>\]]/.exec(option.flags)?.[1] ?? ''
  const kind = option.long === '--job' ? 'jobs' : kindOf(placeholder)
  return { kind, words: suggestionsOf(option), variadic: option.variadic }
}

function argumentNode(argument: Argument): ValueNode {
  const name = argument.name()
  return { kind: argumentKind(name), words: suggestionsOf(argument), variadic: argument.variadic }
}

function argumentKind(name: string): ValueKind {
  if (name === 'job/unit') return 'units'
  if (name.startsWith('job')) return 'jobs'
  return name === 'task' ? 'tasks' : kindOf(name)
}

/** By the word that stands for the value in help. */
function kindOf(placeholder: string): ValueKind {
  if (/^(file|source|.*\.toml)/i.test(placeholder)) return 'files'
  return /^(dir|folder)/i.test(placeholder) ? 'folders' : 'text'
}
