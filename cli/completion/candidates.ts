import type { CommandNode, CompletionTree, FlagNode, ValueNode } from './tree.js'

/** A word that may stand at the cursor, whole. */
export interface Candidate {
  readonly value: string
  /** What it means; a stranger may have had a hand in it. */
  readonly about: string
}

/** A job of this machine: the start of its id, and what it is. */
export interface OfferedJob extends Candidate {
  readonly units: number
}

/** What may stand at the cursor. */
export interface Offer {
  readonly candidates: readonly Candidate[]
  /** Names of files, or of folders, which the shell knows best. */
  readonly paths: 'none' | 'files' | 'folders'
}

const NOTHING: Offer = { candidates: [], paths: 'none' }

/** What may come next after `words`, of which the last is being typed and may be empty. The program is not among them. */
export function offer(tree: CompletionTree, words: readonly string[], jobs: readonly OfferedJob[]): Offer {
  const typed = words.at(-1) ?? ''
  let command: CommandNode | undefined
  let awaited: FlagNode | undefined
  let position = 0
  for (const word of words.slice(0, -1)) {
    if (awaited !== undefined) {
      // Values of a variadic flag go on to the next flag.
      if (awaited.value.variadic && !word.startsWith('-')) continue
      awaited = undefined
      if (!word.startsWith('-')) continue
    }
    // What follows is for the program of a job.
    if (word === '--') return { candidates: [], paths: 'files' }
    if (word.startsWith('-') && word !== '-') {
      const flag = flagsOf(tree, command).find(({ names }) => names.includes(word))
      if (flag !== undefined && flag.value.kind !== 'none') awaited = flag
    } else if (command === undefined) {
      command = tree.commands.find(({ name }) => name === word)
      if (command === undefined) return NOTHING
    } else position++
  }
  const values = (node: ValueNode, prefix: string) => offerValues(tree, node, prefix, jobs)
  if (awaited !== undefined && !(awaited.value.variadic && typed.startsWith('-'))) return values(awaited.value, typed)
  const equals = /^(--[a-z-]+=)(.*)$/.exec(typed)
  if (equals !== null) {
    const [, head = '', value = ''] = equals
    const flag = flagsOf(tree, command).find(({ names }) => names.includes(head.slice(0, -1)))
    if (flag === undefined || flag.value.kind === 'none') return NOTHING
    const { candidates, paths } = values(flag.value, value)
    return { candidates: candidates.map((one) => ({ ...one, value: head + one.value })), paths }
  }
  if (typed.startsWith('-')) return { candidates: matching(namesOf(flagsOf(tree, command)), typed), paths: 'none' }
  if (command === undefined) return { candidates: matching(commandsOf(tree), typed), paths: 'none' }
  const last = command.args.at(-1)
  const node = command.args[position] ?? (last?.variadic === true ? last : undefined)
  return node === undefined ? NOTHING : values(node, typed)
}

function offerValues(tree: CompletionTree, node: ValueNode, typed: string, jobs: readonly OfferedJob[]): Offer {
  const words = node.words.map((value) => ({ value, about: '' }))
  switch (node.kind) {
    case 'jobs':
      return { candidates: matching([...(jobs.length > 0 ? [LAST_JOB] : []), ...jobs], typed), paths: 'none' }
    case 'units': {
      const isUnit = typed.includes('/')
      return isUnit
        ? { candidates: unitsOf(jobs, typed), paths: 'none' }
        : offerValues(tree, { ...node, kind: 'jobs' }, typed, jobs)
    }
    case 'tasks': {
      const tasks = tree.tasks.map(({ name, about }) => ({ value: name, about }))
      const candidates = matching(tasks, typed)
      // A path, or what is no task, is a program.
      return { candidates, paths: candidates.length === 0 || typed === '' ? 'files' : 'none' }
    }
    case 'commands':
      return { candidates: matching(commandsOf(tree), typed), paths: 'none' }
    case 'files':
    case 'folders':
      return { candidates: matching(words, typed), paths: node.kind }
    default:
      return { candidates: matching(words, typed), paths: 'none' }
  }
}

const LAST_JOB: Candidate = { value: 'last', about: 'the job submitted last' }

/** `JOB/` with each digit that may come next. */
function unitsOf(jobs: readonly OfferedJob[], typed: string): Candidate[] {
  const [, name = '', digits = ''] = /^([^/]+)\/((?:0|[1-9][0-9]*)?)$/.exec(typed) ?? []
  const job =
    name === LAST_JOB.value
      ? jobs[0]
      : jobs.find(({ value }) => name !== '' && (value.startsWith(name) || name.startsWith(value)))
  if (job === undefined) return []
  const more = digits === '0' ? [] : Array.from({ length: 10 }, (_, digit) => `${digits}${digit}`)
  return [...(digits === '' ? [] : [digits]), ...more]
    .filter((unit) => Number(unit) < job.units)
    .map((unit) => ({ value: `${name}/${unit}`, about: '' }))
}

function matching(candidates: readonly Candidate[], typed: string): Candidate[] {
  return candidates.filter(({ value }) => value.startsWith(typed))
}

function commandsOf(tree: CompletionTree): Candidate[] {
  return tree.commands.map(({ name, about }) => ({ value: name, about }))
}

function flagsOf(tree: CompletionTree, command: CommandNode | undefined): readonly FlagNode[] {
  return command === undefined ? tree.flags : [...command.flags, ...tree.flags]
}

/** The long name of each flag, once: a command's own `--memory` hides the one that all have. */
function namesOf(flags: readonly FlagNode[]): Candidate[] {
  const names = new Map<string, Candidate>()
  for (const { names: all, about } of flags) {
    const value = all.at(-1)!
    if (!names.has(value)) names.set(value, { value, about })
  }
  return [...names.values()]
}
