import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { unreadable } from '../../client/content/opened-file.js'
import { KEY_FILE, openDataDirectory } from '../../overlay/identity/data-directory.js'
import { type Identity, restoreIdentity, type StoredKey, storedKeyOf } from '../../overlay/identity/identity.js'
import { GridError } from '../../runtime/errors.js'
import { readNamed } from '../../runtime/named-file.js'
import type { CommandTable } from '../command-table.js'
import type { CommandContext } from '../context.js'
import { networkOf } from '../grid/network-of.js'
import { suggest } from '../settings/flags.js'
import { EXIT } from '../terminal/exit-codes.js'
import { facts } from '../terminal/output.js'
import { cannotWrite } from '../terminal/written-file.js'

/** A key takes some hundred bytes in its file. Unit: bytes. */
const KEY_FILE_BYTES_MAX = 64 * 1024

/** What `id` can do besides showing the key, and how many words each takes. */
const ACTIONS: ReadonlyMap<string, number> = new Map([
  ['show', 0],
  ['new', 0],
  ['export', 1],
  ['import', 1],
])
const TWO_PLACES =
  'run it in one place at a time: two workers with one key count as one donor, and answers of theirs that differ cancel out'

/** `manyhands id`: the key of this data directory; `new` replaces it, `export` and `import` carry it elsewhere. */
export function defineId(commands: CommandTable): void {
  const command = commands
    .add(
      'id [action] [file]',
      'show the id and key of this data directory, make new ones, or carry them elsewhere',
      async (context, [action = 'show', file], options) => {
        const words = ACTIONS.get(action)
        if (words === undefined) {
          throw new GridError('invalid', `'id ${action}' is not known`, {
            hint: "'manyhands id show', 'id new', 'id export FILE' or 'id import FILE'",
          })
        }
        if (words === 0 && file !== undefined) throw new GridError('invalid', `'id ${action}' takes no file`)
        if (words === 1 && file === undefined) throw new GridError('invalid', `'id ${action}' needs a file`)
        const force = options.force === true
        const identity = act(context, action, file ?? '', force)
        const { nodeId, publicKey } = identity
        const data = context.settings.data.value
        context.output.answer(
          facts([
            ['node id', nodeId],
            ['key', publicKey],
            ['data', data],
            ['exported to', action === 'export' ? file! : ''],
          ]),
          { nodeId, publicKey, data, ...(action === 'export' ? { file } : {}) },
        )
        if (words === 1) context.output.note(TWO_PLACES)
        return EXIT.ok
      },
    )
    .option('--force', 'replace the file (export), or the key that is there (import); that one is set aside')
    .addHelpText(
      'after',
      [
        '',
        'The key is made on first use and stays in the data directory. Whoever has it is you: keep it to yourself.',
        'With "new" the old key is set aside, not deleted: jobs submitted with it can only be cancelled with it.',
        '"export" writes key and id to a file that only you can read, "import" takes them from it: for a backup, a move to',
        `another machine, or to fetch results there. As a worker or node ${TWO_PLACES}.`,
        '',
        'Examples:',
        '  manyhands id',
        '  manyhands id new --data ~/second-node',
        '  manyhands id export ~/manyhands.key',
        '  manyhands id import ~/manyhands.key --data ~/restored',
      ].join('\n'),
    )
  suggest(command.registeredArguments[0]!, [...ACTIONS.keys()])
}

function act(context: CommandContext, action: string, file: string, force: boolean): Identity {
  switch (action) {
    case 'new':
      return replaceKey(context)
    case 'export':
      return exportKey(context, file, force)
    case 'import':
      return importKey(context, file, force)
    default:
      return showKey(context)
  }
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
    if (existsSync(file)) setAside(context, file)
    return directory.identity(networkOf(context).idWorkBits)
  } finally {
    directory.close()
  }
}

/** Writes the key to a file of its own. The file appears whole or not at all. */
function exportKey(context: CommandContext, file: string, force: boolean): Identity {
  const identity = showKey(context)
  if (existsSync(file) && !force) {
    throw new GridError('exists', `the file ${file} exists already`, {
      hint: 'choose another name, or replace it with --force',
    })
  }
  const { nodeId, publicKey } = identity
  writeKey(resolve(file), JSON.stringify({ v: 1, nodeId, publicKey, ...storedKeyOf(identity) }, null, 2), file)
  return identity
}

/** Takes a key from a file into the data directory, which no process may be using. */
function importKey(context: CommandContext, file: string, force: boolean): Identity {
  const imported = readExported(file)
  const folder = context.settings.data.value
  const directory = openDataDirectory(folder)
  try {
    const target = join(folder, KEY_FILE)
    if (existsSync(target)) {
      const present = directory.identity(0)
      if (present.publicKey === imported.publicKey && present.nodeId === imported.nodeId) return present
      if (!force) {
        throw new GridError('exists', `${folder} has a key already`, {
          hint: 'name another folder with --data DIR, or set that key aside with --force',
        })
      }
      setAside(context, target)
    }
    const { nodeId, publicKey } = imported
    writeKey(target, JSON.stringify({ v: 1, nodeId, publicKey, ...storedKeyOf(imported) }, null, 2), target)
    // A nonce that falls short of what this network asks is renewed here, as at every start.
    const made = directory.identity(networkOf(context).idWorkBits)
    if (made.nodeId !== nodeId) context.output.note(`this network asks more of ids: the node id is new, the key is not`)
    return made
  } finally {
    directory.close()
  }
}

function readExported(file: string): Identity {
  let text: string
  try {
    text = readNamed(file, KEY_FILE_BYTES_MAX).toString('utf8')
  } catch (cause) {
    throw unreadable('key file', file, cause)
  }
  try {
    const fields = JSON.parse(text) as Partial<StoredKey> | null
    return restoreIdentity({ privateKey: String(fields?.privateKey), idNonce: String(fields?.idNonce) })
  } catch (cause) {
    throw new GridError('invalid', `${file} holds no key`, {
      cause,
      hint: "it is written by 'manyhands id export FILE'",
    })
  }
}

function writeKey(target: string, text: string, shown: string): void {
  const draft = `${target}.new`
  try {
    rmSync(draft, { force: true })
    writeFileSync(draft, `${text}\n`, { flag: 'wx', mode: 0o600 })
    renameSync(draft, target)
  } catch (cause) {
    rmSync(draft, { force: true })
    throw cannotWrite(shown, cause)
  }
}

function setAside(context: CommandContext, file: string): void {
  const aside = join(dirname(file), `identity.${context.clock.wallMs()}.json`)
  renameSync(file, aside)
  context.output.note(`the old key is now in ${aside}`)
}
