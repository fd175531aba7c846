import type { Command } from 'commander'
import type { CommandContext } from './context.js'
import type { ExitCode } from './terminal/exit-codes.js'

/** What a command does, once its words are taken apart. Throws GridError for whatever goes wrong. */
export type Action = (
  context: CommandContext,
  positional: readonly string[],
  options: Readonly<Record<string, unknown>>,
) => Promise<ExitCode>

/** Where commands are defined: each file below `commands/` adds its own. */
export interface CommandTable {
  /** Adds `usage` such as `show <job>`; options and examples go onto the result. `action` runs it. */
  add(usage: string, summary: string, action: Action): Command
}
