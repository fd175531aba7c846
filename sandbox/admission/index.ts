import { PROFILE } from '../contract.js'
import { instrument } from './instrument.js'

export { functionNames } from './function-names.js'
export { Refused } from './refused.js'
export { WASI_MODULE, WASI_PARAMETERS } from './wasi-imports.js'

/** What of a job's limits the pass writes into the module. */
export interface AdmitOptions {
  /** Cap of the memory. Unit: bytes, counted in whole pages of 64 KiB. */
  readonly memoryBytes: number
}

/** What the pass saw: for the author at submit, and for whoever explains a trap. */
export interface AdmissionReport {
  /** Version of the sandbox rules by which the module was admitted. */
  readonly profile: number
  /** Bytes as submitted, and as admitted. */
  readonly moduleBytes: number
  readonly admittedBytes: number
  /** Functions that the module defines. */
  readonly functions: number
  /** Functions that it imports, as `wasi_snapshot_preview1.fd_write`, in their order. */
  readonly imports: readonly string[]
  /** Pages of 64 KiB at the start, and at most: the program's own bound or the cap, whichever is less. */
  readonly memoryPages: { readonly min: number; readonly max: number }
  /** Whether the module names its functions: see {@link functionNames}. */
  readonly hasNames: boolean
}

/** A module that a worker may run. */
export interface Admitted {
  /** The instrumented module. Types inside bodies are not checked here: what an engine then refuses is invalid as it came. */
  readonly bytes: Uint8Array
  readonly report: AdmissionReport
}

/**
 * The admission pass: checks that `module` is a WASI preview 1 command without sources of difference between machines, and
 * instruments it for fuel, NaN bits, depth and memory as `docs/programs.md` says. A pure function of its arguments, linear
 * in the module's size. Throws {@link Refused} and nothing else, whatever the bytes.
 */
export function admit(module: Uint8Array, options: AdmitOptions): Admitted {
  const { bytes, shape, hasNames } = instrument(module, { memoryBytes: options.memoryBytes, nan: 'escape' })
  const report = {
    profile: PROFILE,
    moduleBytes: module.length,
    admittedBytes: bytes.length,
    functions: shape.functionTypes.length - shape.imports.length,
    imports: shape.imports,
    memoryPages: shape.memoryPages,
    hasNames,
  }
  return { bytes, report }
}

/**
 * Index in the submitted module of what is function `admitted` in the admitted one; undefined for what the pass added. With
 * {@link functionNames} it names the function in which a trap happened.
 */
export function submittedFunction(report: AdmissionReport, admitted: number): number | undefined {
  const imported = report.imports.length
  if (admitted < imported) return admitted
  return admitted > imported && admitted <= imported + report.functions ? admitted - 1 : undefined
}
