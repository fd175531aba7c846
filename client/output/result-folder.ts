import { fileNameProblem as nameProblem } from '../../proto/file-name.js'
import type { Digest, JobSpec, ReportFact, Signed } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import { utf8 } from '../../runtime/hex.js'
import { signedJson } from '../evidence/receipt-file.js'
import type { UnitAnswer } from '../results/answer.js'
import type { KnownJob } from '../session/session.js'
import { type LaidOut, Layout } from './layout.js'

/**
 * A folder as results are written to. Names have been checked by `fileNameProblem`; an implementation makes the folders in
 * between, follows no links, and replaces files whole.
 */
export interface Folder {
  /** The whole file, undefined when there is none; GridError `quota` when it has more than `bytesMax`. */
  read(name: string, bytesMax: number): Promise<Uint8Array | undefined>
  write(name: string, bytes: Uint8Array): Promise<void>
  /** A file that takes its name only when it is complete. */
  draft(name: string): Promise<FolderDraft>
}

/** A file being written, which nobody sees before it is complete. */
export interface FolderDraft {
  append(bytes: Uint8Array): Promise<void>
  /** Takes the name, replacing what had it. */
  commit(): Promise<void>
  discard(): Promise<void>
}

/** How results are laid out as files. */
export interface ResultFolderOptions {
  readonly layout?: string
  /** Write standard error of units that are done, too. */
  readonly stderr?: boolean
}

interface FileEntry {
  readonly name: string
  readonly bytes: number
  readonly sha256: Digest
}

interface Entry {
  readonly digest: Digest
  readonly files: readonly FileEntry[]
}

/** The file that says of each unit what was proved of it and where its bytes stand. */
export const MANIFEST_NAME = 'manifest.json'
const FAILED_FOLDER = 'failed/'
/** Larger manifests are not read back: then all outputs are fetched again. */
const MANIFEST_BYTES_MAX = 256 * 1024 * 1024
const FILE_BYTES_MAX = 2 ** 31
/** Names remembered to notice two outputs that want the same one. */
const NAMES_MAX = 2_000_000
/** Text of the manifest gathered before it is written. */
const TEXT_BYTES = 256 * 1024

/**
 * Writes answers of a job as files, and `manifest.json`, which says for each unit its digest, files, donors and the reports
 * behind it, with all signatures. Opened on a folder that has some already, it knows which to skip. To be closed in the end,
 * also after an error: only then does the manifest count what was written.
 */
export class ResultFolder {
  readonly #folder: Folder
  readonly #layout: Layout
  readonly #sha256: Sha256
  readonly #stderr: boolean
  readonly #known: ReadonlyMap<number, Entry>
  readonly #manifest: FolderDraft
  readonly #names = new Set<string>()
  readonly #reports = new Set<Digest>()
  readonly #written = new Set<number>()
  #text: string[] = []
  #textBytes = 0
  #entries = 0
  #closed = false
  /** Units written and units found. */
  filesWritten = 0
  unitsSkipped = 0

  private constructor(
    folder: Folder,
    layout: Layout,
    sha256: Sha256,
    stderr: boolean,
    known: ReadonlyMap<number, Entry>,
    manifest: FolderDraft,
  ) {
    this.#folder = folder
    this.#layout = layout
    this.#sha256 = sha256
    this.#stderr = stderr
    this.#known = known
    this.#manifest = manifest
  }

  /** Throws GridError `invalid` for a wrong layout, `exists` when the folder holds the results of another job. */
  static async open(
    folder: Folder,
    job: Pick<KnownJob, 'jobId' | 'spec'> & { readonly signed?: Signed },
    sha256: Sha256,
    { layout, stderr = false }: ResultFolderOptions = {},
  ): Promise<ResultFolder> {
    const laidOut = new Layout(job.spec, layout)
    const known = await readManifest(folder, job.jobId)
    const made = new ResultFolder(folder, laidOut, sha256, stderr, known, await folder.draft(MANIFEST_NAME))
    await made.#say(manifestHead(job))
    return made
  }

  /** Whether the files of a unit are here as the manifest has them, for a result of this digest. Reads them. */
  async has(unit: number, digest: Digest): Promise<boolean> {
    const entry = this.#known.get(unit)
    if (entry?.digest !== digest) return false
    for (const { name, bytes, sha256 } of entry.files) {
      const found = await this.#folder.read(name, FILE_BYTES_MAX).catch(() => undefined)
      if (found?.length !== bytes || this.#sha256(found) !== sha256) return false
    }
    return true
  }

  /** Writes the files of an answer, unless it comes without output because {@link has} said yes, and notes it. */
  async add(answer: UnitAnswer): Promise<void> {
    const { unit, output, digest } = answer
    let files: readonly FileEntry[]
    if (output === undefined) {
      files = this.#known.get(unit)?.files ?? []
      this.unitsSkipped++
    } else {
      const written: FileEntry[] = []
      for (const { name, bytes } of this.#filesOf(answer)) {
        if (this.#layout.usesNames) this.#claim(name, unit)
        await this.#folder.write(name, bytes)
        written.push({ name, bytes: bytes.length, sha256: this.#sha256(bytes) })
        this.filesWritten++
      }
      files = written
    }
    this.#written.add(unit)
    for (const [i, fact] of answer.proof().entries()) await this.#sayReport(answer.reports[i]!, fact)
    const { state, outcome, donors, grantors, reports, fuel, reason } = answer
    const exitCode = output?.exitCode
    await this.#sayEntry({
      unit,
      state,
      outcome,
      digest,
      exitCode,
      fuel: String(fuel),
      files,
      donors,
      grantors,
      reports,
      reason,
    })
  }

  /** Writes files of the reduced result. Throws GridError `invalid` for names that would leave the folder. */
  async addResult(files: ReadonlyMap<string, Uint8Array>): Promise<void> {
    for (const [name, bytes] of files) {
      this.#claim(checkedName(name), -1)
      await this.#folder.write(name, bytes)
      this.filesWritten++
      await this.#sayEntry({ result: name, bytes: bytes.length, sha256: this.#sha256(bytes) })
    }
  }

  /** Lets go of it as if it had not been opened: what was there stays as it was. */
  async discard(): Promise<void> {
    this.#closed = true
    await this.#manifest.discard()
  }

  /** Completes the manifest; units of an earlier run that were not seen in this one stay in it. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const [unit, { digest, files }] of this.#known) {
      if (!this.#written.has(unit)) await this.#sayEntry({ unit, digest, files })
    }
    await this.#say('\n]}\n')
    await this.#flush()
    await this.#manifest.commit()
  }

  #filesOf({ unit, state, output }: UnitAnswer): LaidOut[] {
    const { stdout, stderr } = output!
    if (state === 'done') {
      const files = this.#layout.files(unit, output!)
      if (this.#stderr && stderr.length > 0) files.push({ name: Layout.beside('', unit, 'stderr'), bytes: stderr })
      return files
    }
    const kept: LaidOut[] = []
    if (stdout.length > 0) kept.push({ name: Layout.beside(FAILED_FOLDER, unit, 'stdout'), bytes: stdout })
    if (stderr.length > 0) kept.push({ name: Layout.beside(FAILED_FOLDER, unit, 'stderr'), bytes: stderr })
    return kept
  }

  /** Two names that differ in case alone are one file on some systems. */
  #claim(name: string, unit: number): void {
    const plain = name.normalize('NFC').toLowerCase()
    if (plain === MANIFEST_NAME || this.#names.has(plain)) {
      throw new GridError('invalid', `two outputs want the name ${JSON.stringify(name.slice(0, 80))}`, {
        fields: { unit },
        hint: 'use another --layout',
      })
    }
    if (this.#names.size < NAMES_MAX) this.#names.add(plain)
  }

  async #sayReport(id: Digest, fact: ReportFact): Promise<void> {
    if (this.#reports.has(id)) return
    this.#reports.add(id)
    await this.#sayEntry({ report: id, signed: signedJson(fact.report), grants: fact.grants.map(signedJson) })
  }

  #sayEntry(entry: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#say(`${this.#entries++ === 0 ? '' : ','}\n${JSON.stringify(entry)}`)
  }

  async #say(text: string): Promise<void> {
    this.#text.push(text)
    this.#textBytes += text.length
    if (this.#textBytes >= TEXT_BYTES) await this.#flush()
  }

  async #flush(): Promise<void> {
    const text = this.#text.join('')
    this.#text = []
    this.#textBytes = 0
    await this.#manifest.append(utf8(text))
  }
}

function manifestHead({ jobId, spec, signed }: { jobId: string; spec: JobSpec; signed?: Signed }): string {
  const head = { v: 1, job: jobId, submitter: spec.submitter, spec: signed && signedJson(signed) }
  return `${JSON.stringify(head).slice(0, -1)},"entries":[`
}

function checkedName(name: string): string {
  const problem = nameProblem(name)
  if (problem !== undefined)
    throw new GridError('invalid', `the result file ${JSON.stringify(name.slice(0, 80))} ${problem}`)
  return name
}

/** Units of a manifest in the folder; empty when there is none, or none that can be read. */
async function readManifest(folder: Folder, jobId: string): Promise<ReadonlyMap<number, Entry>> {
  const bytes = await folder.read(MANIFEST_NAME, MANIFEST_BYTES_MAX).catch(() => undefined)
  const known = new Map<number, Entry>()
  if (bytes === undefined) return known
  let manifest: { readonly job?: unknown; readonly entries?: unknown }
  try {
    manifest = JSON.parse(new TextDecoder().decode(bytes)) as typeof manifest
  } catch {
    return known
  }
  if (manifest.job !== jobId) {
    throw new GridError('exists', 'the folder holds the results of another job', {
      hint: 'name an empty folder with -o',
    })
  }
  if (!Array.isArray(manifest.entries)) return known
  for (const entry of manifest.entries as Readonly<Record<string, unknown>>[]) {
    const { unit, digest, files } = entry
    if (typeof unit !== 'number' || typeof digest !== 'string' || !Array.isArray(files)) continue
    if (files.every(isFileEntry)) known.set(unit, { digest: digest as Digest, files })
  }
  return known
}

function isFileEntry(value: unknown): value is FileEntry {
  if (typeof value !== 'object' || value === null) return false
  const { name, bytes, sha256 } = value as Readonly<Record<string, unknown>>
  return (
    typeof name === 'string' &&
    nameProblem(name) === undefined &&
    typeof bytes === 'number' &&
    typeof sha256 === 'string'
  )
}
