import type { UnitAnswer } from '../../client/results/answer.js'
import type { Limits, Outcome } from '../../proto/model.js'
import { PAGE_BYTES } from '../../sandbox/contract.js'
import {
  CANONICAL_NANS,
  crash,
  ESCAPE_TRIES,
  endlessLoop,
  endlessRecursion,
  escapePaths,
  outputFlood,
  printArithmetic,
  printClocks,
  printNans,
  printRandom,
  readEnvironment,
  takeMemory,
  unlistedImport,
  useSockets,
} from './programs.js'

/** One thing that is tried. */
export interface SandboxCase {
  readonly name: string
  readonly module: () => Uint8Array
  readonly limits?: Partial<Limits>
  /** How it must end. */
  readonly outcome: Outcome
  /** Standard output that it must have, as hex; absent: any. */
  readonly stdout?: string
  /** Admission refuses it already, for a reason that matches; the compute process must refuse it as well. */
  readonly refused?: RegExp
  /** What it means that it ended so. */
  readonly says: (answer: UnitAnswer) => string
}

const MIB = 2 ** 20
const MEMORY_BYTES = 64 * MIB
const FUEL = 200_000_000n
/** Unit: ms. */
const WALL_MS = 1_000
const OUTPUT_BYTES = MIB

/**
 * Honest programs whose output is known: the same on every machine. The random bytes are the ChaCha20 key stream (RFC 8439)
 * under the key that `docs/wasi.md` gives for seed 0 and unit 0, as other implementations make it, too.
 */
const KNOWN: readonly SandboxCase[] = [
  known('arithmetic', printArithmetic, '1123bdaa67c6cc42', 'a million square roots added up'),
  known(
    'random',
    printRandom,
    'b3e183cf865c56e90ec1cc58a6d6cd30aa1d5110ab46562a05ed63427bc8f2d8',
    'random bytes from the seed of the job and the number of the unit',
  ),
  known(
    'clocks',
    printClocks,
    '40425252cf4c230d80841e0000000000c0c67052cf4c230d00093d0000000000',
    'clocks that start at a fixed instant',
  ),
]

function known(name: string, module: () => Uint8Array, stdout: string, what: string): SandboxCase {
  return {
    name,
    module,
    outcome: 'done',
    stdout,
    says: ({ digest, fuel }) => `${what}: digest ${digest.slice(0, 12)}, fuel ${fuel}, as on every machine`,
  }
}

/** Everything that `doctor --sandbox` tries, in order. The first of the honest programs is run once more at the end. */
export const SANDBOX_CASES: readonly SandboxCase[] = [
  ...KNOWN,
  {
    name: 'NaN bits',
    module: printNans,
    outcome: 'done',
    stdout: CANONICAL_NANS,
    says: () => '0 / 0 and a NaN with a payload both have the one pattern of the sandbox',
  },
  {
    name: 'path escapes',
    module: escapePaths,
    outcome: 'done',
    says: () => `${ESCAPE_TRIES} tries to open something outside, none succeeded`,
  },
  {
    name: 'environment',
    module: readEnvironment,
    outcome: 'done',
    says: () => 'no variable of this machine is to be seen',
  },
  { name: 'sockets', module: useSockets, outcome: 'done', says: () => 'no descriptor can be used as a socket' },
  {
    name: 'unlisted import',
    module: unlistedImport,
    outcome: 'trap',
    refused: /import/,
    says: () => 'a module that wants env.system is refused, by admission here and by the compute process',
  },
  {
    name: 'endless loop',
    module: endlessLoop,
    limits: { fuel: FUEL },
    outcome: 'fuel',
    says: () => `stopped after ${FUEL} steps of fuel`,
  },
  {
    name: 'no end in time',
    module: endlessLoop,
    limits: { fuel: 0n, wallMs: WALL_MS },
    outcome: 'wall',
    says: () => `stopped after ${WALL_MS / 1000} s where fuel has no limit`,
  },
  {
    name: 'memory',
    module: () => takeMemory(MEMORY_BYTES / PAGE_BYTES),
    limits: { memoryBytes: MEMORY_BYTES },
    outcome: 'done',
    says: () => `got ${MEMORY_BYTES / MIB} MiB as allowed, and no page more`,
  },
  {
    name: 'recursion',
    module: endlessRecursion,
    outcome: 'depth',
    says: ({ fuel }) => `stopped at the same depth as everywhere, fuel ${fuel}`,
  },
  {
    name: 'output flood',
    module: outputFlood,
    limits: { outputBytes: OUTPUT_BYTES },
    outcome: 'output',
    says: () => `stopped after ${OUTPUT_BYTES / MIB} MiB`,
  },
  { name: 'crash', module: crash, outcome: 'trap', says: () => 'ends its unit, and nothing else' },
  { ...KNOWN[0]!, name: 'afterwards' },
]
