/** Every option that describes a job: the same as flags of `submit`, `run-local` and `map`, and as keys of a job file. */

/** How often an option may be given: once with a value, several times, or without a value. */
type OptionKind = 'text' | 'list' | 'switch'

/** Headings under which help shows them. */
type OptionGroup = 'Source (exactly one)' | 'Units' | 'Checking' | 'Limits of a unit' | 'Job'

/** One option of a job: a flag of `submit` and `run-local`, and a key of a job file. */
export interface JobOptionDefinition {
  /** The flag without dashes, and the key of a job file. */
  readonly name: string
  readonly kind: OptionKind
  /** What stands for the value in help. */
  readonly value?: string
  readonly group: OptionGroup
  readonly help: string
  /** Values that shells offer; others are possible. */
  readonly suggested?: readonly string[]
}

/** Options that name what the units are made from. */
export const SOURCE_OPTIONS = ['count', 'array', 'range', 'lines', 'csv', 'files', 'records'] as const

const SOURCE: OptionGroup = 'Source (exactly one)'
const UNITS: OptionGroup = 'Units'
const CHECKING: OptionGroup = 'Checking'
const LIMITS: OptionGroup = 'Limits of a unit'
const JOB: OptionGroup = 'Job'

/** Every option of a job, in the order of help; flags, job files and `job.schema.json` are made from it. */
export const JOB_OPTIONS = [
  { name: 'count', kind: 'text', value: 'N', group: SOURCE, help: 'N units, numbered from 0' },
  { name: 'array', kind: 'text', value: 'A-B[:S]', group: SOURCE, help: 'the integers from A to B, both included' },
  {
    name: 'range',
    kind: 'text',
    value: 'A..B[:STEP]',
    group: SOURCE,
    help: 'pieces of [A, B): 0..10^9:10^7; exact at any size',
  },
  { name: 'lines', kind: 'text', value: 'FILE', group: SOURCE, help: 'a unit per line; - is standard input' },
  { name: 'csv', kind: 'text', value: 'FILE', group: SOURCE, help: 'a unit per row; the first row names the columns' },
  { name: 'files', kind: 'list', value: 'FILE...', group: SOURCE, help: 'a unit per file' },
  { name: 'records', kind: 'text', value: 'FILE', group: SOURCE, help: 'a unit per record, cut as --sep says' },
  {
    name: 'sep',
    kind: 'text',
    value: 'SEP',
    group: SOURCE,
    help: 'fasta, fastq, sdf, or the text that ends a record',
    suggested: ['fasta', 'fastq', 'sdf'],
  },

  { name: 'per-unit', kind: 'text', value: 'N', group: UNITS, help: 'items of the source in one unit (1)' },
  { name: 'repeat', kind: 'text', value: 'R', group: UNITS, help: 'compute every unit R times, as {rep} (1)' },
  {
    name: 'units',
    kind: 'text',
    value: 'SEL',
    group: UNITS,
    help: 'only these: 0-9,17; indices stay those of the whole',
  },
  {
    name: 'in',
    kind: 'list',
    value: 'PATH[=NAME]',
    group: UNITS,
    help: 'a file, or folder of files, that every unit sees below /in; may be repeated',
  },
  { name: 'env', kind: 'list', value: 'K=V', group: UNITS, help: 'environment of the units; may be repeated' },
  { name: 'seed', kind: 'text', value: 'S', group: UNITS, help: 'seed of their random numbers (0)' },

  {
    name: 'quorum',
    kind: 'text',
    value: 'K',
    group: CHECKING,
    help: 'donors that must agree byte for byte (2)',
    suggested: ['1', '2', '3'],
  },
  {
    name: 'verify',
    kind: 'text',
    value: 'quorum:K|confidence:P|none',
    group: CHECKING,
    help: 'the same; or ask until an answer is right with probability P; or take the first result',
    suggested: ['quorum:2', 'quorum:3', 'confidence:0.999', 'none'],
  },
  {
    name: 'max-fails',
    kind: 'text',
    value: 'N|P%',
    group: CHECKING,
    help: 'stop when more units than this have failed',
  },
  {
    name: 'max-errors',
    kind: 'text',
    value: 'N',
    group: CHECKING,
    help: 'hosts that may fail before a unit is held (3)',
  },
  {
    name: 'max-instances',
    kind: 'text',
    value: 'N',
    group: CHECKING,
    help: 'answers after which a unit stays disputed (10)',
  },
  {
    name: 'workers',
    kind: 'list',
    value: 'KEY,...',
    group: CHECKING,
    help: 'only these workers or donors may compute it, by key (manyhands id)',
  },
  {
    name: 'owners',
    kind: 'list',
    value: 'KEY,...',
    group: CHECKING,
    help: 'only these peers may give it out, by key: for a network of your own, each shard needs one of them near',
  },

  { name: 'memory', kind: 'text', value: 'SIZE', group: LIMITS, help: 'memory (256MiB)' },
  { name: 'wall', kind: 'text', value: 'TIME', group: LIMITS, help: 'time (1h)' },
  { name: 'fuel', kind: 'text', value: 'STEPS', group: LIMITS, help: 'steps of work, 0 for no limit (0)' },
  { name: 'output-limit', kind: 'text', value: 'SIZE', group: LIMITS, help: 'output (16MiB)' },
  { name: 'ok-exit', kind: 'list', value: 'CODE', group: LIMITS, help: 'exit codes besides 0 that mean success' },

  { name: 'name', kind: 'text', value: 'TEXT', group: JOB, help: 'a name for lists' },
  { name: 'label', kind: 'list', value: 'K=V', group: JOB, help: 'a label; may be repeated' },
  { name: 'priority', kind: 'text', value: 'P', group: JOB, help: 'order among your own jobs, -100 to 100 (0)' },
  { name: 'expires', kind: 'text', value: 'TIME', group: JOB, help: 'how long the job may take (30d)' },
  {
    name: 'judge',
    kind: 'list',
    value: 'KEY',
    group: CHECKING,
    help: 'a key that may replay units and rule, too: one of a machine of yours that runs with --judge-for; may be repeated',
  },
  { name: 'public', kind: 'switch', group: JOB, help: 'everyone may read the results' },
] as const satisfies readonly JobOptionDefinition[]

/** Name of an option of a job. */
export type JobOptionName = (typeof JOB_OPTIONS)[number]['name']

/** What was given for one option, and what messages call the place. */
export interface GivenOption {
  /** One text unless the option is a list; `true` for a switch. */
  readonly texts: readonly string[]
  /** `--memory`, or `job.toml, line 7: 'memory'`. */
  readonly where: string
}

/** The options that were given, not yet understood. */
export type GivenOptions = ReadonlyMap<JobOptionName, GivenOption>

/** Whether `name` is an option of a job. */
export function isJobOption(name: string): name is JobOptionName {
  return JOB_OPTIONS.some((option) => option.name === name)
}
