import { fromHex } from '../../runtime/hex.js'
import type { WireMessage } from '../load.js'
import type { Digest } from '../model.js'
import {
  PRINT_BYTES,
  RANGE_ANSWERS_MAX,
  RANGE_FAN,
  RANGE_IDS_MAX,
  RANGE_PREFIX_MAX,
  RANGE_QUESTIONS_MAX,
  type RangeIds,
  type RangePrints,
  type RangeReply,
  type RangeRequest,
  type RangeWanted,
} from '../sync-messages.js'
import { optionalHex, optionalHexToWire } from './common.js'
import type { Fields } from './fields.js'

const PARTS_BYTES = RANGE_FAN * PRINT_BYTES
const ID_BYTES = 32
const HEX_DIGITS = /^[0-9a-f]*$/

function readPrefix(fields: Fields, max: number): string {
  const prefix = fields.text('prefix', { max, controls: 'refuse' })
  return HEX_DIGITS.test(prefix) ? prefix : fields.fail('prefix', 'is not lower-case hex digits')
}

/** Prints of whole ranges, too, where `wholeToo`. */
function readPrints(fields: Fields, wholeToo: boolean): RangePrints {
  const prints = fields.bytes('prints', { max: PARTS_BYTES })
  const isWhole = prints.length === PRINT_BYTES
  if (prints.length !== PARTS_BYTES && !(wholeToo && isWhole))
    fields.fail('prints', `has ${prints.length} bytes, must have ${wholeToo ? `${PRINT_BYTES} or ` : ''}${PARTS_BYTES}`)
  return { prefix: readPrefix(fields, isWhole ? RANGE_PREFIX_MAX : RANGE_PREFIX_MAX - 1), prints }
}

function readWanted(fields: Fields): RangeWanted {
  return { prefix: readPrefix(fields, RANGE_PREFIX_MAX), after: optionalHex<Digest>(fields, 'after', ID_BYTES) }
}

function readIds(fields: Fields): RangeIds {
  const prefix = readPrefix(fields, RANGE_PREFIX_MAX)
  const bytes = fields.view('ids', { max: RANGE_IDS_MAX * ID_BYTES })
  if (bytes.length % ID_BYTES !== 0) fields.fail('ids', `has ${bytes.length} bytes, must be a multiple of ${ID_BYTES}`)
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
  const ids: Digest[] = []
  for (let at = 0; at < hex.length; at += 2 * ID_BYTES) {
    const id = hex.slice(at, at + 2 * ID_BYTES) as Digest
    if (!id.startsWith(prefix)) fields.fail('ids', 'lie outside the range')
    if (id <= (ids.at(-1) ?? '')) fields.fail('ids', 'are not ascending')
    ids.push(id)
  }
  const complete = fields.bool('complete')
  if (!complete && ids.length === 0) fields.fail('ids', 'are none and yet not complete')
  return { prefix, ids, complete }
}

function idsToWire({ prefix, ids, complete }: RangeIds): WireMessage {
  return { prefix, ids: fromHex(ids.join('')), complete }
}

/** Prints and wanted ranges, as {@link readRangeRequest} takes them. */
export function rangeRequestToWire({ prints, wanted }: RangeRequest): WireMessage {
  return {
    prints: prints.map(({ prefix, prints }) => ({ prefix, prints })),
    wanted: wanted.map(({ prefix, after }) => ({ prefix, after: optionalHexToWire(after) })),
  }
}

/** Refuses a request that asks nothing, and more questions than `RANGE_QUESTIONS_MAX` in all. */
export function readRangeRequest(fields: Fields): RangeRequest {
  const prints = fields.list('prints', { max: RANGE_QUESTIONS_MAX }, (entry) => readPrints(entry, true))
  const wanted = fields.list('wanted', { max: RANGE_QUESTIONS_MAX - prints.length }, readWanted)
  if (prints.length + wanted.length === 0) fields.fail('prints', 'and wanted ranges are none')
  return { prints, wanted }
}

/** Answers to a request, as {@link readRangeReply} takes them. */
export function rangeReplyToWire({ answered, prints, ids }: RangeReply): WireMessage {
  return { answered, prints: prints.map(({ prefix, prints }) => ({ prefix, prints })), ids: ids.map(idsToWire) }
}

/** Refuses more than `RANGE_ANSWERS_MAX` of either kind. Whether they answer what was asked is for the asker to check. */
export function readRangeReply(fields: Fields): RangeReply {
  return {
    answered: fields.uint32('answered', { min: 1, max: RANGE_QUESTIONS_MAX }),
    prints: fields.list('prints', { max: RANGE_ANSWERS_MAX }, (entry) => readPrints(entry, false)),
    ids: fields.list('ids', { max: RANGE_ANSWERS_MAX }, readIds),
  }
}
