import { formatBytes } from '../../job/quantity.js'
import type { PreferenceValue, PreferRequest } from '../../proto/admin-messages.js'
import type { PublicKey } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { PREFERENCE_NAMES, type Preferences } from './core/preferences.js'
import { type PreferenceSurroundings, type PreferenceTexts, readPreferences } from './read.js'

/** Preferences as they were given to the process. */
export interface PreferenceSources {
  readonly flags: PreferenceTexts
  readonly environment: PreferenceTexts
  /** What the configuration file says now; undefined: the same as when it was last asked. Throws GridError for a wrong one. */
  readonly readFile: () => FilePreferences | undefined
}

/** What the configuration file says of preferences. */
export interface FilePreferences {
  readonly texts: PreferenceTexts
  /** The table `names`: keys by name. */
  readonly names: ReadonlyMap<string, PublicKey>
}

type Origin = 'prefs' | 'flag' | 'environment' | 'file'

/**
 * What holds of all that was said about preferences: at run time, by flag, by environment, in the file, in this order. What was
 * read stays until something else can be read in its place.
 */
export class PreferenceBook {
  readonly #sources: PreferenceSources
  readonly #surroundings: Omit<PreferenceSurroundings, 'names'>
  #prefs: PreferenceTexts = new Map()
  #file: FilePreferences
  #preferences: Preferences

  /** Throws GridError as `readPreferences` does, and as the file's reader does. */
  constructor(sources: PreferenceSources, surroundings: Omit<PreferenceSurroundings, 'names'>) {
    this.#sources = sources
    this.#surroundings = surroundings
    this.#file = sources.readFile() ?? { texts: new Map(), names: new Map() }
    this.#preferences = this.#read(this.#prefs, this.#file)
  }

  get preferences(): Preferences {
    return this.#preferences
  }

  /** The name that the configuration gives a key. */
  nameOf(key: PublicKey): string | undefined {
    for (const [name, one] of this.#file.names) if (one === key) return name
    return undefined
  }

  /** Each preference with what holds and where it was said; empty where nothing was and nothing is held back. */
  values(): PreferenceValue[] {
    const layers = this.#layers(this.#prefs, this.#file)
    const names = new Set<string>([...PREFERENCE_NAMES, ...layers.flatMap(([, texts]) => [...texts.keys()])])
    const unsaid: ReadonlyMap<string, string> = new Map([
      ['cpus', String(this.#preferences.threads)],
      ['cpu-time', '100%'],
      ['on-battery', 'no'],
      ['memory', formatBytes(this.#preferences.memoryBytes)],
      ['disk', formatBytes(this.#preferences.diskBytes)],
    ])
    return [...names].map((name) => {
      const layer = layers.find(([, texts]) => isSaid(texts.get(name)))
      return { name, value: layer?.[1].get(name) ?? unsaid.get(name) ?? '', origin: layer?.[0] ?? 'default' }
    })
  }

  /** Says something at run time; an empty value takes it back. Throws GridError, and then nothing has changed. */
  set(values: PreferRequest['values']): void {
    const prefs = new Map(this.#prefs)
    for (const { name, value } of values) {
      // Looked at even when it is taken away: a name that does not exist is a slip.
      if (isSaid(value)) prefs.set(name, value)
      else if (!prefs.delete(name)) this.#read(new Map([[name, '']]), this.#file)
    }
    this.#preferences = this.#read(prefs, this.#file)
    this.#prefs = prefs
  }

  /** Looks at the file again. @returns whether anything may have changed. Throws GridError, and then nothing has. */
  reread(): boolean {
    const file = this.#sources.readFile()
    if (file === undefined) return false
    this.#preferences = this.#read(this.#prefs, file)
    this.#file = file
    return true
  }

  #read(prefs: PreferenceTexts, file: FilePreferences): Preferences {
    const merged = new Map<string, string>()
    const layers = this.#layers(prefs, file)
    for (const [, texts] of layers.toReversed())
      for (const [name, text] of texts) if (isSaid(text) || !merged.has(name)) merged.set(name, text)
    try {
      return readPreferences(merged, { ...this.#surroundings, names: file.names })
    } catch (error) {
      throw error instanceof GridError ? withOrigin(error, layers) : error
    }
  }

  #layers(prefs: PreferenceTexts, file: FilePreferences): [Origin, PreferenceTexts][] {
    const { flags, environment } = this.#sources
    return [
      ['prefs', prefs],
      ['flag', flags],
      ['environment', environment],
      ['file', file.texts],
    ]
  }
}

/** What is wrong, with where it was said when that is not in front of whoever reads it. */
function withOrigin(error: GridError, layers: readonly (readonly [Origin, PreferenceTexts])[]): GridError {
  const layer = layers.find(([, texts]) =>
    [...texts].some(([name, text]) => isSaid(text) && error.message.startsWith(name)),
  )
  const origin = layer?.[0]
  if (origin !== 'environment' && origin !== 'file') return error
  const said = `it was said in ${origin === 'file' ? 'the configuration file' : 'the environment'}: manyhands config`
  const hint = error.hint === undefined ? said : `${error.hint}\n${said}`
  return new GridError(error.code, error.message, { hint, fields: error.fields, cause: error })
}

function isSaid(text: string | undefined): boolean {
  return text !== undefined && text.trim() !== ''
}
