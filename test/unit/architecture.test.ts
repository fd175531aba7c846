import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../runtime/package-root.js'
import { type Import, listFiles, parseSource, readSources, type SourceFile } from '../support/source-files.js'

/*
 * The rules of docs/architecture.md, checked on the text of every source file. Each rule is a function from files to
 * complaints, tried first on a file that breaks it, so that a rule that has gone blind is noticed.
 */

/** What each folder may import from, besides itself. Dependencies point one way: down this list. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  cli: [
    'process',
    'client',
    'coordinator',
    'worker',
    'overlay',
    'tasks',
    'sandbox',
    'storage',
    'job',
    'proto',
    'runtime',
  ],
  // The package as other programs import it.
  library: ['process', 'client', 'overlay', 'tasks', 'job', 'proto', 'runtime'],
  // Puts a process together out of all the roles: for the command, and for programs that join by themselves.
  process: ['client', 'coordinator', 'worker', 'overlay', 'tasks', 'storage', 'job', 'proto', 'runtime'],
  client: ['overlay', 'tasks', 'sandbox', 'storage', 'job', 'proto', 'runtime'],
  coordinator: ['overlay', 'tasks', 'storage', 'job', 'proto', 'runtime'],
  worker: ['overlay', 'tasks', 'sandbox', 'storage', 'job', 'proto', 'runtime'],
  storage: ['job', 'proto', 'runtime'],
  overlay: ['proto', 'runtime'],
  tasks: ['runtime'],
  sandbox: ['proto', 'runtime'],
  job: ['proto', 'runtime'],
  // One layer: types of the model stand in `proto/`, errors and interfaces of the platform in `runtime/`.
  proto: ['runtime'],
  runtime: ['proto'],
}

/** Tests, benchmarks and examples may look at everything; nothing may look at them. */
const ABOVE_ALL: ReadonlySet<string> = new Set(['test', 'bench', 'examples'])

/** Files that a folder may import beyond {@link MAY_IMPORT}, and why. */
const MAY_IMPORT_ALSO: readonly (readonly [folder: string, file: string, reason: string])[] = [
  ['client', 'worker/compute/compute.ts', 'run-local computes as a worker does, through the same seam'],
]

/** Folders within a folder, each built on those after it alone, and on what stands beside them, but for `index.ts`. */
const FOLDERS_WITHIN: Readonly<Record<string, readonly string[]>> = {
  coordinator: ['home', 'exchange', 'services', 'owner', 'jobs', 'store', 'sync'],
  cli: [
    'commands',
    'demo',
    'doctor',
    'sandbox-check',
    'completion',
    'stats',
    'top',
    'jobs',
    'trap',
    'grid',
    'job-options',
    'settings',
    'terminal',
  ],
  client: ['replay', 'output', 'evidence', 'results', 'submit', 'follow', 'explain', 'session', 'content'],
  overlay: ['board', 'records', 'routing', 'channel', 'identity'],
  job: ['evidence', 'audit', 'spec', 'verdict', 'facts', 'units'],
}

/** All that others may know of `tasks/`: what there is, the contract, and the meter that a host hands to a unit. */
const TASKS_FACE: ReadonlySet<string> = new Set(['tasks/registry.ts', 'tasks/task.ts', 'tasks/fuel.ts'])

/** Where a package is known. Everybody else sees our own types. */
const PACKAGE_PLACES: Readonly<Record<string, readonly string[]>> = {
  'kademlia-dht': ['overlay/routing/kademlia.ts'],
  '@grpc/grpc-js': ['overlay/channel/grpc-', 'proto/status.ts'],
  '@grpc/proto-loader': ['overlay/channel/grpc-', 'proto/load.ts'],
  '@grpc/reflection': ['overlay/channel/grpc-'],
  protobufjs: ['proto/load.ts', 'overlay/channel/health.ts'],
  libsql: ['coordinator/store/sqlite-file.ts'],
  piscina: ['worker/compute/'],
  pngjs: ['tasks/mandelbrot/'],
  commander: ['cli/'],
  'cli-progress': ['cli/'],
  pino: ['cli/'],
  'smol-toml': ['cli/'],
  ink: ['cli/top/'],
  react: ['cli/top/'],
  'prom-client': ['process/'],
  zod: ['cli/'],
}

/** Folders that are pure throughout, besides every `core/`. */
const PURE_FOLDERS: ReadonlySet<string> = new Set(['job', 'sandbox'])

/** Files outside `core/` and these folders that are pure as well: decisions and words that these are made of. */
const ALSO_PURE: ReadonlySet<string> = new Set([
  'proto/model.ts',
  'proto/work-messages.ts',
  'proto/job-messages.ts',
  'proto/blob-messages.ts',
  'proto/explain-messages.ts',
  'proto/overlay-messages.ts',
  'proto/sync-messages.ts',
  'proto/limits.ts',
  'proto/protocol-range.ts',
  'proto/printable.ts',
  'proto/file-name.ts',
  'runtime/errors.ts',
  'runtime/hex.ts',
  'runtime/bits.ts',
  'runtime/jitter.ts',
  'cli/terminal/text-width.ts',
])

/** What would make a decision depend on more than events and the instant, or on the platform. */
const IMPURE =
  /\bDate\.now\b|\bnew Date\b|\bperformance\b|\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bMath\.random\b|\bcrypto\b|\bprocess\b|\bBuffer\b|\bconsole\b|\bglobalThis\b|\bfetch\b|\bimport\.meta\b|\brequire\b/g

/**
 * The records of an owner point at one another: a job at its shards, a shard at its units, a unit at who holds it, a worker at
 * what it holds, and each back. Their types may, and nothing else.
 */
const RECORDS: ReadonlySet<string> = new Set(
  ['job', 'shard', 'unit-record', 'worker-record'].map((name) => `coordinator/owner/core/${name}.ts`),
)

/** Readers of the command line and the environment outside `cli/`, and why. */
const READS_ENVIRONMENT: readonly (readonly [file: string, reason: string])[] = [
  ['library/connect.ts', 'finds the data directory that the command uses, by the custom of the platform'],
  [
    'worker/compute/supervise.ts',
    'hands SystemRoot, which Windows needs to start anything, to a child with no environment',
  ],
]

const sources = readSources()
const product = sources.filter(({ path }) => !ABOVE_ALL.has(folderOf(path)) && path.includes('/'))

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.indexOf('/')))
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function isPure(path: string): boolean {
  return path.includes('/core/') || PURE_FOLDERS.has(folderOf(path)) || ALSO_PURE.has(path)
}

type Rule = (files: readonly SourceFile[]) => string[]

/** A rule about each import by itself. */
function aboutImports(check: (file: SourceFile, imported: Import) => string | undefined): Rule {
  return (files) =>
    files.flatMap((file) =>
      file.imports.flatMap((imported) => {
        const complaint = check(file, imported)
        return complaint === undefined ? [] : [`${file.path} imports ${imported.specifier}: ${complaint}`]
      }),
    )
}

const directions = aboutImports(({ path }, { file }) => {
  if (file === undefined) return undefined
  const from = folderOf(path)
  const to = folderOf(file)
  if (to === from || MAY_IMPORT[from]?.includes(to)) return undefined
  if (MAY_IMPORT_ALSO.some(([folder, allowed]) => folder === from && allowed === file)) return undefined
  return MAY_IMPORT[from] === undefined
    ? `the folder ${from}/ has no place in the layers`
    : `${from}/ stands below ${to}/`
})

const foldersWithin = aboutImports(({ path }, { file }) => {
  const [role, from = ''] = path.split('/')
  const [into, to = ''] = file?.split('/') ?? []
  const order = FOLDERS_WITHIN[role!]
  if (order === undefined || into !== role || from === to || from.endsWith('.ts')) return undefined
  if (to.endsWith('.ts')) return to === 'index.ts' ? 'the face of a role is for other roles' : undefined
  const place = order.indexOf(from)
  return place >= 0 && order.indexOf(to) > place ? undefined : `${from}/ does not build on ${to}/`
})

const tasksFace = aboutImports(({ path }, { file }) =>
  file !== undefined && folderOf(file) === 'tasks' && folderOf(path) !== 'tasks' && !TASKS_FACE.has(file)
    ? 'tasks are reached through the registry and their contract alone'
    : undefined,
)

const coresAreInside = aboutImports(({ path }, { file }) =>
  file?.includes('/core/') && folderOf(file) !== folderOf(path) ? 'a core is known to its own role alone' : undefined,
)

const packages = aboutImports(({ path }, { specifier, file }) => {
  if (file !== undefined || specifier.startsWith('node:')) return undefined
  const places = PACKAGE_PLACES[packageOf(specifier)]
  if (places === undefined) return 'a package without a place'
  return places.some((place) => path.startsWith(place)) ? undefined : `it belongs to ${places.join(', ')}`
})

const builtinsByPrefix = aboutImports((_, { specifier, file }) =>
  file === undefined &&
  /^(?:fs|os|path|net|tls|crypto|util|url|events|stream|http2?|child_process|worker_threads)(?:\/|$)/.test(specifier)
    ? 'modules of Node are written with node:'
    : undefined,
)

const pureImports = aboutImports(({ path }, { specifier, file, typeOnly }) => {
  if (!isPure(path)) return undefined
  if (file === undefined)
    return specifier.startsWith('node:') ? 'a pure file needs no platform' : 'a pure file needs no package'
  return typeOnly || isPure(file) ? undefined : 'a pure file takes values from pure files only, and types'
})

const pureWords: Rule = (files) =>
  files
    .filter(({ path }) => isPure(path))
    .flatMap(({ path, code }) => (code.match(IMPURE) ?? []).map((word) => `${path} uses ${word}`))

const coresDoNotWait: Rule = (files) =>
  files
    .filter(({ path }) => path.includes('/core/'))
    .flatMap(({ path, code }) =>
      (code.match(/\basync\b|\bawait\b|\bPromise\b/g) ?? []).map((word) => `${path}: ${word}`),
    )

const environment: Rule = (files) =>
  files
    .filter(({ path }) => folderOf(path) !== 'cli' && !READS_ENVIRONMENT.some(([file]) => file === path))
    .flatMap(({ path, code }) =>
      (code.match(/\bprocess\.(?:argv|env)\b/g) ?? []).map((word) => `${path} reads ${word}`),
    )

const noAny: Rule = (files) =>
  files
    .filter(({ code }) => /(?:[:<|&]|\bas|,(?=\s*any\s*>))\s*any\b(?!\s*\()|\bany\[\]/.test(code))
    .map(({ path }) => `${path} uses any`)

const noEnums: Rule = (files) =>
  files
    .filter(({ code }) => /(?:^|\n)\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?(?:enum|namespace)\s+\w/.test(code))
    .map(({ path }) => `${path} declares an enum or a namespace`)

const namedExports: Rule = (files) =>
  files.filter(({ code }) => /\bexport\s+default\b/.test(code)).map(({ path }) => `${path} has a default export`)

const jsEndings = aboutImports((_, { specifier, file }) =>
  file !== undefined && !/\.(?:js|json)$/.test(specifier) ? 'relative imports end in .js' : undefined,
)

/** A suite that several doubles pass stands in `test/support/` and runs itself. */
const testsRun: Rule = (files) =>
  files
    .filter(({ path }) => path.endsWith('.test.ts'))
    .filter(({ code, imports }) => {
      if (/\.run\(\)\s*$/.test(code)) return false
      const shared = sources.filter(({ path }) =>
        imports.some(({ file }) => file === path && /-conformance\.ts$/.test(path)),
      )
      return !/Conformance\(.*\)\s*$/.test(code) || !shared.some((file) => /\.run\(\)/.test(file.code))
    })
    .map(({ path }) => `${path} does not end with .run()`)

/** Files that import themselves through others, along the imports that count. */
function cyclesAlong(counts: (from: string, imported: Import) => boolean): Rule {
  return (files) => {
    const targets = new Map(
      files.map(({ path, imports }) => [
        path,
        imports.flatMap((imported) => (imported.file && counts(path, imported) ? [imported.file] : [])),
      ]),
    )
    const done = new Set<string>()
    const complaints: string[] = []
    const visit = (path: string, way: readonly string[]) => {
      const at = way.indexOf(path)
      if (at >= 0) complaints.push([...way.slice(at), path].join(' -> '))
      if (at >= 0 || done.has(path)) return
      for (const next of targets.get(path) ?? []) visit(next, [...way, path])
      done.add(path)
    }
    for (const path of targets.keys()) visit(path, [])
    return complaints
  }
}

/** Types count: a file is understood with those that it names, and in a circle there is none to begin with. */
const noCycles = cyclesAlong((from, { file, typeOnly }) => !(typeOnly && RECORDS.has(from) && RECORDS.has(file!)))
const noCyclesOfValues = cyclesAlong((_, { typeOnly }) => !typeOnly)

/**
 * What a person waits for, and must not: a command begins with what `program.ts` and its own file load, and each module takes its
 * part of a millisecond. Of the first: packages that few commands need. Of the second: what `submit` needs for some jobs only.
 */
const LOADED_LATE: readonly (readonly [start: string, late: RegExp])[] = [
  [
    'cli/program.ts',
    /^(?:@grpc\/|protobufjs|zod|smol-toml|pino|ink|react)|^cli\/commands\/|^tasks\/|^sandbox\/(?!contract)/,
  ],
  ['cli/commands/submit.ts', /^(?:zod|smol-toml|pino|ink|react)|^sandbox\/(?!contract)|^coordinator\/|^worker\/driver/],
]

/** What is loaded along with the file at `start`: all that it names, and they, but where they name it in a call. */
function loadedWith(start: string, files: readonly SourceFile[]): ReadonlySet<string> {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const loaded = new Set([start])
  for (const path of loaded)
    for (const { specifier, file, typeOnly, atUse } of byPath.get(path)?.imports ?? [])
      if (!typeOnly && !atUse) loaded.add(file ?? specifier)
  return loaded
}

const loadsLate: Rule = (files) =>
  LOADED_LATE.flatMap(([start, late]) =>
    [...loadedWith(start, files)].filter((name) => late.test(name)).map((name) => `${start} loads ${name}`),
  )

/** Nothing in `files` breaks `rule`, while `text`, were it at `path`, would. */
function holds(rule: Rule, files: readonly SourceFile[], path: string, text: string): void {
  assert.is.not(rule([parseSource(path, text)]).length, 0, `the rule does not see its own example at ${path}`)
  assert.equal(rule(files), [])
}

const Architecture = suite('architecture')

Architecture('finds the sources it is to judge', () => {
  const folders = new Set(product.map(({ path }) => folderOf(path)))
  assert.equal([...folders].sort(), Object.keys(MAY_IMPORT).sort())
  const total = product.reduce((sum, { imports }) => sum + imports.length, 0)
  assert.ok(product.length > 100 && total > 500, `${product.length} files, ${total} imports`)
})

Architecture('sees every way to name a module, and nothing in comments and strings', () => {
  const { imports, code } = parseSource(
    'worker/core/example.ts',
    [
      "import './a.js' // import './not-a.js'",
      "import b, { type C } from '../b.js'",
      "import { type D, type E } from './d.js'",
      "import type { F } from './f.js'",
      "export { g } from '../../g.js'",
      "export * from 'h'",
      "const i = await import('node:i')",
      'const j = `$' + '{require("j")} from \'k\' $' + '{`process`}` /* process */ + /["process/]/.source',
    ].join('\n'),
  )
  const seen = imports.map(({ specifier, file, typeOnly }) => `${specifier} ${file ?? '-'} ${typeOnly}`).sort()
  assert.equal(seen, [
    '../../g.js g.ts false',
    '../b.js worker/b.ts false',
    './a.js worker/core/a.ts false',
    './d.js worker/core/d.ts true',
    './f.js worker/core/f.ts true',
    'h - false',
    'j - false',
    'node:i - false',
  ])
  assert.not.match(code, 'process')
})

Architecture('a command loads what it needs, and the rest where it is used', () => {
  holds(loadsLate, product, 'cli/program.ts', "import { z } from 'zod'\nimport type { pino } from 'pino'")
})

Architecture('dependencies between folders point one way', () => {
  holds(directions, product, 'overlay/x.ts', "import { Owner } from '../coordinator/owner/core/owner.js'")
})

Architecture('dependencies between the folders within one point one way', () => {
  const up = "import type { HomeDriver } from '../home/home-driver.js'"
  holds(foldersWithin, product, 'coordinator/owner/x.ts', up)
  holds(foldersWithin, product, 'client/session/x.ts', "import { submitJob } from '../submit/submit.js'")
})

Architecture('coordinator and worker meet in proto/ and nowhere else', () => {
  for (const [from, to] of [
    ['coordinator', 'worker'],
    ['worker', 'coordinator'],
  ] as const) {
    assert.is.not(MAY_IMPORT[from]!.includes(to), true)
    holds(directions, product, `${from}/x.ts`, `import type { Y } from '../${to}/y.js'`)
  }
})

Architecture('nothing depends on tests and benchmarks', () => {
  holds(directions, product, 'job/x.ts', "import { run } from '../test/support/compute/run-task.js'")
})

Architecture('files do not import themselves through others, types included; tests may for types', () => {
  holds(noCycles, product, 'job/x.ts', "import type { X } from './x.js'")
  holds(noCyclesOfValues, sources, 'test/support/x.ts', "import { x } from './x.js'")
  for (const path of RECORDS) {
    const others = [...RECORDS].filter((other) => other !== path)
    const imports = product.find((file) => file.path === path)?.imports ?? []
    assert.ok(
      imports.some(({ file, typeOnly }) => typeOnly && others.includes(file!)),
      `${path} needs no exception`,
    )
  }
})

Architecture('tasks are reached through the registry and their contract', () => {
  holds(tasksFace, product, 'worker/x.ts', "import { primes } from '../tasks/primes/index.js'")
})

Architecture('a core is known to its own role alone', () => {
  holds(coresAreInside, product, 'cli/x.ts', "import { Owner } from '../coordinator/owner/core/owner.js'")
})

Architecture('each package is known in one place', () => {
  holds(packages, product, 'overlay/routing/driver.ts', "import dht from 'kademlia-dht'")
  holds(packages, product, 'cli/x.ts', "import leftPad from 'left-pad'")
})

Architecture('every dependency has a place', () => {
  const { dependencies } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  assert.equal(Object.keys(dependencies).sort(), Object.keys(PACKAGE_PLACES).sort())
})

Architecture('modules of Node are imported with node:', () => {
  holds(builtinsByPrefix, sources, 'runtime/x.ts', "import { readFileSync } from 'fs'")
})

Architecture('cores, job/ and the model import no platform, package or impure value', () => {
  holds(pureImports, product, 'worker/core/x.ts', "import { createHash } from 'node:crypto'")
  holds(pureImports, product, 'job/x.ts', "import { sha256 } from '../runtime/hash.js'")
  for (const path of ALSO_PURE)
    assert.ok(
      product.some((file) => file.path === path),
      `${path} is gone`,
    )
})

Architecture('cores, job/ and the model read no clock, randomness, process or global', () => {
  for (const word of ['Date.now()', 'new Date()', 'setTimeout(f, 1)', 'Math.random()', 'process.pid', 'Buffer.of(1)'])
    holds(pureWords, product, 'coordinator/owner/core/x.ts', `const x = ${word}`)
})

Architecture('cores never wait', () => {
  holds(coresDoNotWait, product, 'overlay/core/x.ts', 'export async function f() {}')
})

Architecture('only the command line reads arguments and the environment', () => {
  holds(environment, product, 'overlay/x.ts', 'const home = process.env.HOME')
  for (const [path] of READS_ENVIRONMENT)
    assert.ok(
      product.some((file) => file.path === path && /process\.(?:argv|env)/.test(file.code)),
      `${path} needs no exception`,
    )
})

Architecture('types are never any', () => {
  holds(noAny, sources, 'job/x.ts', 'const x: any = 1')
})

Architecture('there are no enums, namespaces and default exports', () => {
  holds(noEnums, sources, 'job/x.ts', 'export enum State { open }')
  holds(namedExports, sources, 'job/x.ts', 'export default 1')
})

Architecture('relative imports end in .js', () => {
  holds(jsEndings, sources, 'job/x.ts', "import { y } from './y'")
})

Architecture('every test file runs its suite', () => {
  holds(testsRun, sources, 'test/unit/x.test.ts', "suite('x')('y', () => {})")
})

Architecture('the lock file records no addresses, and no file names a registry', () => {
  const lock = readFileSync(join(packageRoot, 'package-lock.json'), 'utf8')
  assert.not.match(lock, '"resolved"')
  const host = /registry\.[a-z0-9-]+\.[a-z]+|[a-z0-9-]*npmmirror|npm\.pkg\.github|_authToken/
  assert.match(['https://registry', 'npmjs', 'org/x'].join('.'), host)
  const text = /(?:\.(?:ts|js|mjs|cjs|json|md|yml|yaml|toml|proto|svg|sh)|\/run|npmrc|ignore|Dockerfile|LICENSE)$/
  for (const path of listFiles().filter((file) => text.test(file))) {
    const found = host.exec(readFileSync(join(packageRoot, path), 'utf8'))
    assert.is(path.endsWith('architecture.test.ts') ? undefined : found?.[0], undefined, path)
  }
})

Architecture('every folder of the product gets into the image', () => {
  const kept = readFileSync(join(packageRoot, '.dockerignore'), 'utf8').split('\n')
  for (const folder of Object.keys(MAY_IMPORT))
    assert.ok(kept.includes(`!${folder}`), `.dockerignore leaves ${folder} out`)
})

Architecture.run()
