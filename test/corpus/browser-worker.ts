/** Computes the corpus in a worker of a browser and posts the answer to the server that served this file. */
import { computeUnits } from './compute.js'
import { corpusUnits } from './units.js'

async function load(program: string): Promise<Uint8Array> {
  const reply = await fetch(`/wasm/${program}.wasm`)
  if (!reply.ok) throw new Error(`${program}: ${reply.status}`)
  return new Uint8Array(await reply.arrayBuffer())
}

try {
  const rows = await computeUnits(corpusUnits, load)
  await fetch('/answer', { method: 'POST', body: JSON.stringify(rows) })
} catch (error) {
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: '' }
  await fetch('/failure', { method: 'POST', body: `${message}\n${stack}` })
}
