import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type ConfigSources, resolveSettings, variableOf } from '../../../cli/settings/config.js'
import { GridError } from '../../../runtime/errors.js'
import { temporaryFolder } from './run.js'

const folder = temporaryFolder()
let files = 0

function resolve(text: string | undefined, more: Partial<ConfigSources> = {}) {
  const file = join(folder.path, `config-${files++}.toml`)
  if (text !== undefined) writeFileSync(file, text)
  return resolveSettings({
    flags: {},
    environment: {},
    platform: { system: 'linux', environment: {}, home: folder.path },
    ...(text === undefined ? {} : { file }),
    ...more,
  })
}

function refusal(text: string): GridError {
  try {
    resolve(text)
  } catch (error) {
    if (error instanceof GridError) return error
    throw error
  }
  throw new Error('expected a refusal')
}

const settings = suite('resolveSettings')

settings('a flag beats the environment, which beats the file, which beats the default', () => {
  const text = 'network = "from-file"'
  const environment = { MANYHANDS_NETWORK: 'from-environment' }
  assert.equal(resolve(text, { flags: { network: 'from-flag' }, environment }).settings.network, {
    value: 'from-flag',
    origin: 'flag',
  })
  assert.equal(resolve(text, { environment }).settings.network, { value: 'from-environment', origin: 'environment' })
  assert.equal(resolve(text).settings.network, { value: 'from-file', origin: 'file' })
  assert.equal(resolve('').settings.network, { value: 'main', origin: 'default' })
})

settings('an empty variable counts as not set', () => {
  assert.is(resolve('', { environment: { MANYHANDS_NETWORK: '' } }).settings.network.origin, 'default')
})

settings('lists are written with commas, or as TOML arrays', () => {
  assert.equal(resolve('', { flags: { join: 'a, b:1' } }).settings.join.value, ['a', 'b:1'])
  assert.equal(resolve('join = ["a", "b:1"]').settings.join.value, ['a', 'b:1'])
  assert.equal(resolve('join = "a,b:1"').settings.join.value, ['a', 'b:1'])
})

settings('paths in the file are relative to its folder', () => {
  assert.is(resolve('data = "state"').settings.data.value, join(folder.path, 'state'))
  assert.equal(resolve('tasks = ["mine.mjs"]').settings.tasks.value, [join(folder.path, 'mine.mjs')])
})

settings('paths of flags are left as they were typed', () => {
  assert.is(resolve('', { flags: { data: './here' } }).settings.data.value, './here')
})

settings('the data folder follows the custom of the platform', () => {
  assert.is(resolve(undefined).settings.data.value, join(folder.path, '.local/share/manyhands'))
})

settings('the file need not exist unless it was named', () => {
  assert.is(resolve(undefined).fileExists, false)
  assert.throws(() => resolve(undefined, { file: join(folder.path, 'missing.toml') }), /does not exist/)
  const environment = { MANYHANDS_CONFIG: join(folder.path, 'missing.toml') }
  assert.throws(() => resolve(undefined, { environment }), /missing\.toml/)
})

settings('an unknown setting is named with its line, and the known ones are listed', () => {
  const error = refusal('network = "x"\n\njion = "host"\n')
  assert.match(error.message, /line 3: unknown setting 'jion'/)
  assert.match(error.hint ?? '', /known: join network/)
})

settings('a value of the wrong type is named with its line', () => {
  assert.match(refusal('\nnetwork = 7').message, /line 2: 'network' .*string/)
  assert.match(refusal('quorum = 99').message, /line 1: 'quorum'/)
})

settings('a file that is no TOML is refused with the line', () => {
  assert.match(refusal('network = "x"\nthis is no toml').message, /line 2/)
})

settings('a quorum from the environment is checked', () => {
  assert.is(resolve('', { environment: { MANYHANDS_QUORUM: '3' } }).settings.quorum.value, 3)
  assert.throws(
    () => resolve('', { environment: { MANYHANDS_QUORUM: 'many' } }),
    /quorum must be a number from 1 to 15/,
  )
})

settings('variables are upper case with underscores', () => {
  assert.is(variableOf('secret-file'), 'MANYHANDS_SECRET_FILE')
})

settings.after(() => folder.close())
settings.run()
