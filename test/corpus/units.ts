/** One unit of the corpus: a program of `c/` or `tiny/`, and all that its answer may depend on. */
export interface CorpusUnit {
  readonly name: string
  /** File name of the module, without `.wasm`. */
  readonly program: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly stdin: string
  /** Shared inputs, by name below `/in`. */
  readonly files: Readonly<Record<string, string>>
  readonly seed: bigint
  readonly unit: number
  /** Fuel limit; every unit has one, so that a broken host cannot hang the corpus. */
  readonly fuel: bigint
  readonly memoryBytes: number
  readonly outputBytes: number
}

/** Enough for every unit that is meant to end by itself. */
const FUEL = 4_000_000_000n
const MEMORY_BYTES = 32 * 2 ** 20
const OUTPUT_BYTES = 8 * 2 ** 20
/** Stderr that is kept of a unit, as in a spec's default limits. Unit: bytes. */
export const STDERR_BYTES = 64 * 1024

type Details = Partial<Omit<CorpusUnit, 'name' | 'program'>>

function unit(name: string, program: string, details: Details = {}): CorpusUnit {
  return {
    name,
    program,
    args: [],
    environment: {},
    stdin: '',
    files: {},
    seed: 0n,
    unit: 0,
    fuel: FUEL,
    memoryBytes: MEMORY_BYTES,
    outputBytes: OUTPUT_BYTES,
    ...details,
  }
}

/** Text without anything from outside: words in an order that a small generator picks. */
function prose(words: number): string {
  const stock = ['unit', 'grant', 'owner', 'shard', 'peer', 'report', 'digest', 'quorum', 'verdict', 'lease', 'board']
  let state = 7
  let text = ''
  for (let i = 0; i < words; i++) {
    state = (state * 48271) % 2147483647
    text += stock[state % stock.length]
    text += i % 11 === 10 ? '\n' : ' '
  }
  return text
}

const FILES = { 'a.txt': prose(3000), 'b.txt': 'a short file\nof two lines\n', 'empty.txt': '' }

/** Units of modules so small that they are kept in the repository (`tiny.json`, `assembled.ts`): every test run computes them. */
export const tinyUnits: readonly CorpusUnit[] = [
  unit('assembled recursion with wide frames', 'assembled-wide-frames'),
  unit('assembled loop with parameters', 'assembled-loop-parameters'),
  unit('assembled bulk instructions, then a bad call', 'assembled-bulk'),
  unit('tiny integers', 'tiny-integers'),
  unit('tiny floats', 'tiny-floats'),
  unit('tiny NaN bits', 'tiny-nans'),
  unit('tiny recursion to the depth limit', 'tiny-descent'),
  unit('tiny memory growth to the cap', 'tiny-growth'),
  unit('tiny answers of the host', 'tiny-host', {
    environment: { LANG: 'C' },
    files: { 'a.txt': 'a', 'b.txt': 'b' },
    seed: 5n,
    unit: 7,
  }),
  unit('tiny jump tables, then a bad call', 'tiny-switch'),
  unit('tiny answer on stderr', 'tiny-stderr'),
  unit('tiny out of fuel', 'tiny-integers', { fuel: 1_000_000n }),
]

/** Units of ordinary C and C++ programs, compiled by `build.sh`. */
const programUnits: readonly CorpusUnit[] = [
  unit('integers: queens', 'queens', { args: ['10'] }),
  unit('integers: Lucas-Lehmer, prime', 'lucas', { args: ['607'] }),
  unit('integers: Lucas-Lehmer, composite', 'lucas', { args: ['1277'] }),
  unit('integers: interpreter', 'interpreter', { args: ['500000'] }),
  unit('integers: sort and search', 'sort', { args: ['20000'] }),
  unit('floats: n-body', 'nbody', { args: ['20000'] }),
  unit('floats: Mandelbrot', 'mandelbrot', { args: ['80'] }),
  unit('floats: matrix product', 'matmul', { args: ['96'] }),
  unit('floats: Fourier transform', 'fft', { args: ['11', '3'] }),
  unit('floats: conversions', 'convert'),
  unit('floats: saturating conversions', 'convert-saturating'),
  unit('libm', 'libm'),
  unit('NaN: bits', 'nanbits'),
  unit('NaN: through arithmetic', 'nanmix', { args: ['50000'] }),
  unit('NaN: printed', 'printnan'),
  unit('recursion: plain', 'recursion', { args: ['plain'] }),
  unit('recursion: wide frames', 'recursion', { args: ['wide'] }),
  unit('recursion: through a table', 'recursion', { args: ['table'] }),
  unit('recursion: arrays on the stack', 'recursion', { args: ['array'] }),
  unit('memory: growth to the cap', 'memory', { args: ['grow'] }),
  unit('memory: another cap', 'memory', { args: ['grow'], memoryBytes: 9 * 2 ** 20 + 65_536 }),
  unit('memory: allocate and free', 'memory', { args: ['churn'] }),
  unit('memory: blocks', 'memory', { args: ['bulk'] }),
  unit('memory: blocks by bulk instructions', 'memory-bulk', { args: ['bulk'] }),
  unit('files: calls and their errors', 'files', { files: FILES }),
  unit('files: folders listed', 'folders', { files: FILES }),
  unit('files: inputs and stdin', 'wordcount', {
    args: ['/in/a.txt', '/in/b.txt'],
    files: FILES,
    stdin: 'one\ntwo\none\n',
  }),
  unit('time', 'clocks'),
  unit('chance: first unit', 'chance'),
  unit('chance: another unit', 'chance', { unit: 1 }),
  unit('chance: another seed', 'chance', { seed: 18_446_744_073_709_551_615n }),
  unit('surroundings', 'surroundings', {
    args: ['one', '', 'two words', 'ünïcode', '--flag=1'],
    environment: { MODE: 'test', EMPTY: '', TEXT: 'a=b c' },
    files: FILES,
  }),
  unit('output: much on stdout', 'flood', { args: ['stdout', '4000000'] }),
  unit('output: a large file', 'flood', { args: ['file', '4000000'] }),
  unit('output: much on stderr', 'flood', { args: ['stderr', '300000'] }),
  unit('output: stdout without end', 'flood', { args: ['stdout', '0'], outputBytes: 2 ** 20 }),
  unit('output: a file without end', 'flood', { args: ['file', '0'], outputBytes: 2 ** 20 }),
  unit('output: stderr without end', 'ends', { args: ['print'], fuel: 20_000_000n }),
  unit('output: descriptors without end', 'flood', { args: ['descriptors', '0'] }),
  unit('ends: answer on stderr alone', 'ends', { args: ['stderr'] }),
  unit('ends: exit code', 'ends', { args: ['exit'] }),
  unit('ends: abort', 'ends', { args: ['abort'] }),
  unit('ends: assertion', 'ends', { args: ['assert'] }),
  unit('ends: division by zero', 'ends', { args: ['divide'] }),
  unit('ends: integer overflow', 'ends', { args: ['overflow'] }),
  unit('ends: out of bounds', 'ends', { args: ['bounds'] }),
  unit('ends: bad function pointer', 'ends', { args: ['pointer'] }),
  unit('ends: endless loop out of fuel', 'ends', { args: ['loop'], fuel: 50_000_000n }),
  unit('ends: endless allocation', 'ends', { args: ['allocate'], fuel: 500_000_000n }),
  unit('C++ library', 'shapes'),
]

export const corpusUnits: readonly CorpusUnit[] = [...tinyUnits, ...programUnits]

/** Programs whose answers differ between engines and processors when NaN bits are not made canonical. */
export const nanPrograms: ReadonlySet<string> = new Set(['tiny-nans', 'nanbits', 'nanmix', 'printnan'])
