import { existsSync } from 'node:fs'
import { createNetworkSecret } from '../../overlay/identity/network.js'
import { GridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import type { CommandContext } from '../context.js'
import { networkOf } from '../grid/network-of.js'
import { suggest } from '../settings/flags.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { facts } from '../terminal/output.js'
import { writeNamed } from '../terminal/written-file.js'

/** `manyhands network`: which network this is; `network new` makes the secret of a private one. */
export function defineNetwork(commands: CommandTable): void {
  const command = commands
    .add(
      'network [action] [file]',
      'show the network; "network new FILE" makes a secret for a private one',
      async (context, [action, file]) => {
        if (action === 'new') return newSecret(context, file)
        if (action !== undefined && action !== 'show') {
          throw new GridError('invalid', `'network ${action}' is not known`, {
            hint: "'manyhands network show' or 'manyhands network new FILE'",
          })
        }
        if (file !== undefined) throw new GridError('invalid', "'network show' takes no file")
        const { name, isPrivate, idWorkBits } = networkOf(context)
        context.output.answer(
          facts([
            ['network', name],
            ['kind', isPrivate ? 'private: joining takes the secret' : 'open to everyone'],
            ['id work', `${idWorkBits} bits`],
          ]),
          { name, private: isPrivate, idWorkBits },
        )
        return EXIT.ok
      },
    )
    .addHelpText(
      'after',
      [
        '',
        'Nodes find one another when they are given the same name and the same secret.',
        '',
        'A private network:',
        '  manyhands network new lab.secret',
        '  manyhands node --network lab --secret-file lab.secret',
        '  manyhands work --network lab --secret-file lab.secret --join HOST',
      ].join('\n'),
    )
  suggest(command.registeredArguments[0]!, ['show', 'new'])
}

function newSecret({ output }: CommandContext, file: string | undefined): ExitCode {
  const secret = createNetworkSecret()
  if (file === undefined) {
    output.answer(secret, { secret })
    return EXIT.ok
  }
  if (existsSync(file))
    throw new GridError('exists', `the file ${file} exists already`, { hint: 'choose another name' })
  writeNamed(file, `${secret}\n`, { mode: 0o600, flag: 'wx' })
  output.answer(file, { file })
  output.note(`give this file to every member, and start each with: --network NAME --secret-file ${file}`)
  return EXIT.ok
}
