import type { Receipt } from '../../job/evidence/receipt.js'
import type { ReportFact, Signed } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import { utf8 } from '../../runtime/hex.js'

/** What a file says it is. */
const KIND = 'manyhands receipt'
/** Largest file that is read: an output of 64 MiB in base64, and facts. Unit: bytes. */
export const RECEIPT_BYTES_MAX = 128 * 2 ** 20

/**
 * A receipt as a file: JSON, one way to write each receipt, with the SHA-256 of all of it but that line. The digest is against
 * accidents; who changes the file on purpose writes another digest, and meets `checkReceipt`.
 */
export function encodeReceipt(receipt: Receipt, sha256: Sha256): Uint8Array {
  const body = textOf(receipt)
  return utf8(`${body.slice(0, -2)},\n "sha256": "${sha256(utf8(body))}"\n}\n`)
}

/** The receipt in a file, not checked yet. Throws GridError `corrupt` for a file that is none, or was changed. */
export function decodeReceipt(bytes: Uint8Array, sha256: Sha256): Receipt {
  const corrupt = (reason: string, cause?: unknown) =>
    new GridError('corrupt', `the receipt is refused: ${reason}`, cause === undefined ? {} : { cause })
  if (bytes.length > RECEIPT_BYTES_MAX) throw corrupt('the file is too large')
  let receipt: Receipt
  try {
    const fields = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Record<string, unknown>
    if (fields.kind !== KIND || fields.v !== 1) throw corrupt('this is no receipt of version 1')
    receipt = {
      unit: wholeOf(fields.unit),
      spec: signedOf(fields.spec),
      orders: listOf(fields.orders, signedOf),
      facts: listOf(fields.facts, factOf),
      output: bytesOf(fields.output),
    }
  } catch (error) {
    throw error instanceof GridError ? error : corrupt('this file holds none', error)
  }
  const expected = encodeReceipt(receipt, sha256)
  if (expected.length !== bytes.length || expected.some((byte, i) => byte !== bytes[i]))
    throw corrupt('the file was changed after it was written')
  return receipt
}

function textOf({ unit, spec, orders, facts, output }: Receipt): string {
  return JSON.stringify(
    {
      v: 1,
      kind: KIND,
      unit,
      spec: signedJson(spec),
      orders: orders.map(signedJson),
      facts: facts.map(({ report, grants }) => ({ report: signedJson(report), grants: grants.map(signedJson) })),
      output: base64(output),
    },
    undefined,
    1,
  )
}

/** Signed bytes as files have them. */
export const signedJson = ({ bytes, signature }: Signed) => ({ bytes: base64(bytes), signature: base64(signature) })

/** With padding, RFC 4648 section 4. */
export const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')

/** Bytes from base64. This and the readers below throw TypeError for what is none. */
export function bytesOf(value: unknown): Uint8Array {
  if (typeof value !== 'string') throw new TypeError('no bytes')
  return new Uint8Array(Buffer.from(value, 'base64'))
}

function wholeOf(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new TypeError('no unit')
  return value
}

/** Each entry of an array from a file, as `read` makes it. */
export function listOf<T>(value: unknown, read: (entry: unknown) => T): readonly T[] {
  if (!Array.isArray(value)) throw new TypeError('no list')
  return value.map(read)
}

/** The reverse of {@link signedJson}. */
export function signedOf(value: unknown): Signed {
  const { bytes, signature } = value as Record<string, unknown>
  return { bytes: bytesOf(bytes), signature: bytesOf(signature) }
}

function factOf(value: unknown): ReportFact {
  const { report, grants } = value as Record<string, unknown>
  return { report: signedOf(report), grants: listOf(grants, signedOf) }
}
