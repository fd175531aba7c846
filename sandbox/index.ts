/** The sandbox as the rest of the project sees it: admit a module, compile it, run it. */
export {
  type AdmissionReport,
  type AdmitOptions,
  type Admitted,
  admit,
  functionNames,
  Refused,
  submittedFunction,
  WASI_MODULE,
  WASI_PARAMETERS,
} from './admission/index.js'
export { PROFILE } from './contract.js'
export { engine, type Module } from './engine.js'
export {
  type ProgramEnd,
  type ProgramInput,
  type ProgramLimits,
  type ProgramOutcome,
  runProgram,
  type Trap,
} from './run.js'
export { FixedBytes, type StoredBytes } from './wasi/byte-store.js'
