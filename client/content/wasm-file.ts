import { basename, resolve } from 'node:path'
import { formatBytes } from '../../job/quantity.js'
import { MODULE_BYTES_MAX } from '../../proto/limits.js'
import { GridError } from '../../runtime/errors.js'
import { openNamed } from '../../runtime/named-file.js'
import { PAGE_BYTES } from '../../sandbox/contract.js'
import type { AdmissionReport } from '../../sandbox/index.js'
import { type Content, memoryContent } from './content.js'
import { unreadable } from './opened-file.js'

/** A program of the submitter's own, read and admitted. */
export interface WasmFile {
  /** As it was typed. */
  readonly shown: string
  /** Absolute. */
  readonly path: string
  /** Without folders, for lists. */
  readonly name: string
  /** The module as it is in the file: what is uploaded, and what every worker admits again. */
  readonly bytes: Uint8Array
  readonly content: Content
  readonly report: AdmissionReport
}

/** `\0asm` and version 1: how every WebAssembly module begins (core specification, 5.5.16). */
const MAGIC = [0x00, 0x61, 0x73, 0x6d]
/** Names of imports shown before the rest is counted. */
const IMPORTS_SHOWN = 40

/** Whether the name of a task can only be a file: it ends in `.wasm`, or has a slash. */
export function isPath(name: string): boolean {
  return /\.wasm$/i.test(name) || name.includes('/') || name.includes('\\')
}

/** Whether there is a file of this name that begins as a WebAssembly module does. */
export async function isModuleFile(path: string): Promise<boolean> {
  const file = await openNamed(path).catch(() => undefined)
  if (file === undefined) return false
  try {
    const head = new Uint8Array(MAGIC.length)
    const { bytesRead } = await file.read(head, 0, head.length, 0)
    return bytesRead === head.length && MAGIC.every((byte, i) => head[i] === byte)
  } catch {
    return false
  } finally {
    await file.close()
  }
}

/**
 * Reads a module and puts it through the admission that every worker repeats. `memoryBytes`: the limit of its units. Throws
 * GridError `invalid` for a file that is not there, is none, or is refused: then with what is wrong and what to do.
 */
export async function readWasmFile(shown: string, memoryBytes: number): Promise<WasmFile> {
  const path = resolve(shown)
  const bytes = await readModule(path, shown)
  return {
    shown,
    path,
    name: basename(path),
    bytes,
    content: memoryContent(bytes),
    report: await admitModule(bytes, memoryBytes, shown),
  }
}

/** Puts a module through the admission that every worker repeats. Throws GridError `invalid` as {@link readWasmFile}. */
export async function admitModule(bytes: Uint8Array, memoryBytes: number, shown: string): Promise<AdmissionReport> {
  if (!MAGIC.every((byte, i) => bytes[i] === byte)) {
    throw new GridError('invalid', `${shown} is no WebAssembly module`, {
      hint: "a program is compiled for wasm32-wasi, a script is not; 'manyhands tasks' lists what is built in",
    })
  }
  const { admit, engine } = await import('../../sandbox/index.js')
  return refusing(shown, () => {
    // The pass knows why a component or a 64-bit memory is refused; to the engine both are merely invalid.
    const { report } = admit(bytes, { memoryBytes })
    // The pass rewrites and does not check types: workers ask their engine, too.
    if (!engine.validate(bytes)) throw new GridError('invalid', 'it is not valid WebAssembly, or damaged')
    return report
  })
}

async function readModule(path: string, shown: string): Promise<Uint8Array> {
  const file = await openNamed(path).catch((cause: unknown) => {
    throw unreadable('program', shown, cause)
  })
  try {
    const { size } = await file.stat()
    if (size > MODULE_BYTES_MAX) {
      throw new GridError(
        'invalid',
        `${shown} has ${formatBytes(size)}, a module at most ${formatBytes(MODULE_BYTES_MAX)}`,
      )
    }
    return new Uint8Array(await file.readFile())
  } catch (error) {
    throw error instanceof GridError ? error : unreadable('program', shown, error)
  } finally {
    await file.close()
  }
}

function refusing<T>(shown: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if (!(error instanceof GridError)) throw error
    throw new GridError(error.code, `${shown} is refused: ${error.message}`, {
      cause: error,
      fields: error.fields,
      hint: error.hint ?? 'docs/programs.md says how to compile programs; every worker applies the same rules',
    })
  }
}

/** What admission found, as rows for people. */
export function reportFacts({ report, name }: WasmFile): (readonly [string, string])[] {
  const { profile, moduleBytes, admittedBytes, functions, imports, memoryPages, hasNames } = report
  const shown = imports.slice(0, IMPORTS_SHOWN).map((entry) => entry.replace(/^wasi_snapshot_preview1\./, ''))
  const more = imports.length > shown.length ? ` ... and ${imports.length - shown.length} more` : ''
  const pages = (count: number) => formatBytes(count * PAGE_BYTES)
  return [
    [
      'program',
      `${name}, ${formatBytes(moduleBytes)}, ${formatBytes(admittedBytes)} once instrumented; sandbox profile ${profile}`,
    ],
    ['functions', `${functions}${hasNames ? '' : ', without names: a crash cannot say where (do not strip it)'}`],
    ['imports', imports.length === 0 ? 'none' : `${shown.join(' ')}${more}`],
    ['its memory', `${pages(memoryPages.min)} at the start, ${pages(memoryPages.max)} at most`],
  ]
}
