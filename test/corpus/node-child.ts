/**
 * node-child.js FOLDER: computes the corpus in the Node that runs it and prints an `EngineAnswer`. Programs are FOLDER/*.wasm.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { computeUnits, type EngineAnswer } from './compute.js'
import { corpusUnits } from './units.js'

const folder = process.argv[2]!
const rows = await computeUnits(corpusUnits, (program) => readFile(join(folder, `${program}.wasm`)))
const { node, v8 } = process.versions
const answer: EngineAnswer = { engine: `Node ${node} (V8 ${v8}) ${process.arch}`, rows }
process.stdout.write(JSON.stringify(answer))
