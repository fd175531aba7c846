import { existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { openDataDirectory } from '../../overlay/data-directory.js'
import { type Identity, restoreIdentity, type StoredKey } from '../../overlay/identity.js'
import { GridError } from '../../runtime/errors.js'
import { networkOf } from '../connect.js'
import type { CommandContext } from '../context.js'
import { EXIT } from '../exit-codes.js'
import { facts } from '../output.js'
import type { CommandTable } from '../program.js'

const KEY_FILE = 'identity.json'

/** `manyhands id`: the key of this data directory; `id new` replaces it. */
export function defineId(commands: CommandTable): void {
  commands
    .add(
      'id [action]',
      'show the id and key of this data directory; "id new" makes new ones',
      async (context, [action]) => {
        if (action !== undefined && action !== 'show' && action !== 'new') {
          throw new GridError('invalid', `'id ${action}' is not known`, {
            hint: "'manyhands id show' or 'manyhands id new'",
          })
        }
        const { nodeId, publicKey } = action === 'new' ? replaceKey(context) : showKey(context)
        const data = context.settings.data.value
        context.output.answer(
          facts([
            ['node id', nodeId],
            ['key', publicKey],
            ['data', data],
          ]),
          { nodeId, publicKey, data },
        )
        return EXIT.ok
      },
    )
    .addHelpText(
      'after',
      [
        '',
        'The key is made on first use and stays in the data directory. Whoever has it is you: keep it to yourself.',
        'With "new" the old key is set aside, not deleted: jobs submitted with it can only be cancelled with it.',
        '',
        'Examples:',
        '  manyhands id',
        '  manyhands id new --data ~/second-node',
      ].join('\n'),
    )
}

function showKey(context: CommandContext): Identity {
  const folder = context.settings.data.value
  const file = join(folder, KEY_FILE)
  // Reading needs no lock: a node may be running.
  if (existsSync(file)) {
    try {
      return restoreIdentity(JSON.parse(readFileSync(file, 'utf8')) as StoredKey)
    } catch (cause) {
      throw new GridError('corrupt', `the key file ${file} cannot be read as a key`, {
        cause,
        hint: 'restore it from a backup, or move it away to start with a new key',
      })
    }
  }
  return makeKey(context)
}

function makeKey(context: CommandContext): Identity {
  const directory = openDataDirectory(context.settings.data.value)
  try {
    return directory.identity(networkOf(context).idWorkBits)
  } finally {
    directory.close()
  }
}

function replaceKey(context: CommandContext): Identity {
  const folder = context.settings.data.value
  const directory = openDataDirectory(folder)
  try {
    const file = join(folder, KEY_FILE)
    if (existsSync(file)) {
      const aside = join(folder, `identity.${context.clock.wallMs()}.json`)
      renameSync(file, aside)
      context.output.note(`the old key is now in ${aside}`)
    }
    return directory.identity(networkOf(context).idWorkBits)
  } finally {
    directory.close()
  }
}
