import { Argument } from 'commander'
import type { CommandTable } from '../command-table.js'
import { writeCache } from '../completion/cache.js'
import { makeCompletionCache } from '../completion/make.js'
import { completionScript, SHELLS, type Shell } from '../completion/scripts.js'
import { EXIT } from '../terminal/exit-codes.js'

/** `manyhands completion`: what a shell reads to complete this command. */
export function defineCompletion(commands: CommandTable): void {
  const command = commands.add(
    'completion',
    'print what a shell needs to complete this command',
    async (context, [shell]) => {
      const script = completionScript(shell as Shell)
      if (context.output.json) context.output.value({ shell, script })
      else context.output.line(script)
      // The first key is answered as quickly as all others.
      writeCache(context.platform, await makeCompletionCache(command.parent!, context.platform))
      return EXIT.ok
    },
  )
  command
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText(
      'after',
      [
        '',
        'Completes commands, flags and their values, ids of jobs by name, tasks, files. Nothing is asked of the network.',
        '',
        'Examples:',
        '  manyhands completion bash > ~/.local/share/bash-completion/completions/manyhands',
        '  manyhands completion zsh > ~/.zfunc/_manyhands',
        '  manyhands completion fish > ~/.config/fish/completions/manyhands.fish',
        '',
        'For zsh, ~/.zfunc must be in fpath before compinit runs; in a running shell: source <(manyhands completion zsh)',
      ].join('\n'),
    )
}
