import type { JobTotals, Totals } from '../../job/evidence/totals.js'
import type { Verifier } from '../../overlay/identity/identity.js'
import type { PublicKey, Signed } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { utf8 } from '../../runtime/hex.js'
import { base64, bytesOf, listOf, signedJson, signedOf } from './receipt-file.js'

/** What a file says it is, and the tag of the signature at its end. */
const TOTALS_KIND = 'manyhands totals'
const TAG = 'totals'
/** Some hundred bytes for each attestation and some thousand for each spec. Unit: bytes. */
export const TOTALS_BYTES_MAX = 64 * 2 ** 20

/** Signs as the worker whose totals they are. */
interface TotalsSigner {
  readonly publicKey: PublicKey
  sign(tag: string, bytes: Uint8Array): Uint8Array
}

/** Totals as a file: JSON, one way to write each, signed by the key they are about: it is that key's holder who shows them. */
export function encodeTotals(totals: Totals, signer: Pick<TotalsSigner, 'sign'>): Uint8Array {
  const body = textOf(totals)
  return utf8(withSignature(body, base64(signer.sign(TAG, utf8(body)))))
}

/** The totals in a file, its own signature checked. Throws GridError `corrupt` for a file that is none, or was changed. */
export function decodeTotals(bytes: Uint8Array, verifier: Verifier): Totals {
  const corrupt = (reason: string, cause?: unknown) =>
    new GridError('corrupt', `the totals are refused: ${reason}`, cause === undefined ? {} : { cause })
  if (bytes.length > TOTALS_BYTES_MAX) throw corrupt('the file is too large')
  let totals: Totals
  let signature: Uint8Array
  try {
    const fields = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Record<string, unknown>
    if (fields.kind !== TOTALS_KIND || fields.v !== 1) throw corrupt('these are no totals of version 1')
    if (typeof fields.worker !== 'string' || !/^[0-9a-f]{64}$/.test(fields.worker)) throw new TypeError('no key')
    totals = { worker: fields.worker as PublicKey, jobs: listOf(fields.jobs, jobOf) }
    signature = bytesOf(fields.signature)
  } catch (error) {
    throw error instanceof GridError ? error : corrupt('the file holds none', error)
  }
  const body = textOf(totals)
  const expected = utf8(withSignature(body, base64(signature)))
  const isSame = expected.length === bytes.length && expected.every((byte, i) => byte === bytes[i])
  if (!isSame || signature.length !== 64 || !verifier.verify(totals.worker, TAG, utf8(body), signature))
    throw corrupt('the file was changed after it was written')
  return totals
}

/** Whether a file says that it has totals; nothing of it is checked. */
export function isTotalsFile(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes.subarray(0, 200)).includes(`"kind": "${TOTALS_KIND}"`)
}

function withSignature(body: string, signature: string): string {
  return `${body.slice(0, -2)},\n "signature": "${signature}"\n}\n`
}

function textOf({ worker, jobs }: Totals): string {
  return JSON.stringify(
    {
      v: 1,
      kind: TOTALS_KIND,
      worker,
      jobs: jobs.map(({ spec, orders, shards }) => ({
        spec: signedJson(spec),
        orders: orders.map(signedJson),
        shards: shards.map((attestations) => attestations.map(signedJson)),
      })),
    },
    undefined,
    1,
  )
}

function jobOf(value: unknown): JobTotals {
  const { spec, orders, shards } = value as Record<string, unknown>
  const attestations = (entry: unknown): readonly Signed[] => listOf(entry, signedOf)
  return { spec: signedOf(spec), orders: listOf(orders, signedOf), shards: listOf(shards, attestations) }
}
