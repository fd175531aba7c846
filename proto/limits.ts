/** Bounds of what may be said on the wire. Pure; every decoder of `codec/` refuses what lies outside. */

/** Units of a job. */
export const UNITS_MAX = 10_000_000
/** Items of a source before they are grouped into units. */
export const ITEMS_MAX = 2 ** 32 - 1
/** Bytes of a spec, and of anything else that is signed. */
export const SPEC_BYTES_MAX = 256 * 1024
/** Shared inputs of a job. */
export const INPUTS_MAX = 256
/** Priority of a job among those of its submitter: so far below and above 0. */
export const PRIORITY_MAX = 100
/** Time from the creation of a job to its end, at most; orders may extend it. 30 days and an hour. Unit: ms. */
export const JOB_LIFE_MS_MAX = (30 * 24 + 1) * 3600 * 1000
/** From an order that extends a job to the end it may name, at most; what is kept for a job is kept no longer. Unit: ms. */
export const EXTENDED_LIFE_MS_MAX = (90 * 24 + 1) * 3600 * 1000
/** Any other duration on the wire. Unit: ms. */
export const DURATION_MS_MAX = 400 * 24 * 3600 * 1000
/** Units of one report; also units of a block of the issuing order. */
export const REPORT_UNITS_MAX = 64
/** Grants behind one report. */
export const REPORT_GRANTS_MAX = 64
/** Runs of one grant. */
export const GRANT_RUNS_MAX = 256
/** Units of all runs of one grant: a whole shard of the largest size. */
export const GRANT_UNITS_MAX = 16_384
/** Opinions on one unit, numbered from 0. */
export const OPINIONS_MAX = 4_096
/** Encoded outputs up to this travel right after their report and beside results; larger ones are fetched. */
export const INLINE_OUTPUT_BYTES_MAX = 4 * 1024
/** A message of a work stream, encoded. */
export const STREAM_MESSAGE_BYTES_LIMIT = 128 * 1024
/** Bytes of standard output and `/out` of a unit together, at most. */
export const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
/** Kept bytes of standard error, at most. */
export const STDERR_BYTES_MAX = 1024 * 1024
/** Files of `/out` of one unit. */
export const OUTPUT_FILES_MAX = 1_024
/** An encoded `UnitOutput`: output, standard error, and names of files. */
export const ENCODED_OUTPUT_BYTES_MAX = OUTPUT_BYTES_MAX + 4 * 1024 * 1024
/** Memory of a unit: the address space of 32-bit WebAssembly. */
export const MEMORY_BYTES_MAX = 2 ** 32
/** A WebAssembly module. */
export const MODULE_BYTES_MAX = 64 * 1024 * 1024
/** Pieces in which content and outputs travel. */
export const CHUNK_BYTES = 256 * 1024
/** Content of a blob: 262,144 chunks, so that a manifest stays under 8 MiB. */
export const BLOB_BYTES_MAX = 2 ** 36
/** Chunks of the largest blob. */
export const BLOB_CHUNKS_MAX = BLOB_BYTES_MAX / CHUNK_BYTES
/** Chunks of one `Get`. */
export const BLOB_GET_CHUNKS_MAX = 4_096
/** Hashes of one manifest message: 256 KiB. */
export const MANIFEST_PART_HASHES_MAX = 8_192
/** Units of the smallest shard; every shard has a power of two. */
export const SHARD_UNITS_MIN = 16
/** Units of the largest shard. */
export const SHARD_UNITS_MAX = 16_384
/** Most shards a job can have. */
export const SHARDS_MAX = Math.ceil(UNITS_MAX / SHARD_UNITS_MIN)
/** Shards named in one message. */
export const MESSAGE_SHARDS_MAX = 1_024
/** Orders of one job. */
export const ORDERS_MAX = 256
/** Orders with rulings that count of one job: of its submitter, and of its judges together. */
export const RULING_ORDERS_MAX = 16
/** One order with rulings. Unit: bytes. */
export const RULINGS_BYTES_MAX = 12 * 1024
/** Units of one order with rulings. */
export const RULINGS_MAX = 128
/** Keys convicted by one ruling. */
export const RULING_CONVICTED_MAX = 64
/** Grantors of one ruling, of each kind: dismissed, right, wrong. */
export const RULING_GRANTORS_MAX = 32
/** Millionths that an answer under `confidence:P` may be wrong: with more, the word of one unknown donor would be enough. */
export const CONFIDENCE_ERROR_PPM_MAX = 49_999
/** Keys that may rule besides the submitter. */
export const JUDGES_MAX = 8
/** Holders named in one acknowledgement. */
export const HOLDERS_MAX = 32
/** Reports in one acknowledgement. */
export const ACK_REPORTS_MAX = 256
/** Ranges of a selection. */
export const SELECTION_RANGES_MAX = 4_096
/** Parts of an argument template. */
export const ARGS_MAX = 1_024
/** Argument template: bytes of all its parts together. */
export const ARGS_BYTES_MAX = 128 * 1024
/** Columns of a list. */
export const COLUMNS_MAX = 1_024
/** Text that says why, cut to this many bytes by the sender. */
export const REASON_BYTES_MAX = 400
/** Facts of one message of results; the sender also keeps under {@link RESULTS_BYTES_MAX}. */
export const RESULTS_FACTS_MAX = 1_024
/** Settled units of one message of results. */
export const RESULTS_UNITS_MAX = 1_024
/** A message of results, of unit states, or about a job with its shards. */
export const RESULTS_BYTES_MAX = 1024 * 1024
/** States of units in one message. */
export const UNITS_PAGE_MAX = 1_024
/** Expanded arguments of one unit together. */
export const UNIT_ARGS_BYTES_MAX = 1024 * 1024
/** Content of the items of one unit, with the neighbours that are fetched along with them. */
export const UNIT_ITEMS_BYTES_MAX = 256 * 1024 * 1024
/** Items of one unit that are looked at one by one: items of a list, and values shown as arguments. */
export const UNIT_ITEMS_MAX = 262_144
/** Facts of one message between owners. */
export const OFFER_FACTS_MAX = 256
/** Facts of one message between owners, as its sender keeps them under. Unit: bytes. */
export const OFFER_BYTES_MAX = 256 * 1024
/** Shards compared in one message. */
export const RECONCILE_SHARDS_MAX = 512
/** Facts asked for by id in one message. */
export const FETCH_FACTS_MAX = 1_024
/** Grants in one message of what an owner has handed out. */
export const OUTSTANDING_GRANTS_MAX = 1_024
