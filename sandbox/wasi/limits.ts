/**
 * Bounds on what a program can make its host hold or do. They are part of the sandbox rules (`PROFILE`): a program that
 * meets one gets the same error number everywhere. Bytes are bounded by the limits of the job.
 */

/** Open descriptors, standard ones and preopened folders included; `EMFILE` beyond. */
export const DESCRIPTORS_MAX = 256
/** Files, folders and links of a unit together, inputs not counted; `ENOSPC` beyond. */
export const NODES_MAX = 16_384
/** Names in the listings of open folders together; `ENOMEM` beyond. A listing is kept as it was when it began. */
export const LISTED_NAMES_MAX = 65_536
/** Bytes of a path; `ENAMETOOLONG` beyond. PATH_MAX of Linux. */
export const PATH_BYTES_MAX = 4_096
/** Bytes of one part of a path; `ENAMETOOLONG` beyond. NAME_MAX of Linux. */
export const NAME_BYTES_MAX = 255
/** Links followed while one path is resolved; `ELOOP` beyond. POSIX asks for 8 or more, Linux follows 40. */
export const LINKS_FOLLOWED_MAX = 40
/** Pieces of one read or write; `EINVAL` beyond. IOV_MAX of Linux. */
export const PIECES_MAX = 1_024
/** Subscriptions of one `poll_oneoff`; `EINVAL` beyond. */
export const SUBSCRIPTIONS_MAX = 1_024
/** Offset in a file; `EINVAL` beyond. Exact in a JS number. */
export const OFFSET_MAX = 2 ** 52

/** Fuel of every host call, on top of the instructions around it. */
export const CALL_FUEL = 64
/** Bytes that a call moves for one step of fuel; that of bulk memory instructions. */
export const BYTES_PER_FUEL = 16
/** Fuel of a random byte, which is computed and not just moved. */
export const RANDOM_BYTE_FUEL = 1
/** Pieces of a read or write that are part of the call's own fuel. Libraries of compilers use two. */
export const PIECES_FREE = 16
/** Fuel of each further piece. */
export const PIECE_FUEL = 64
/** Fuel for each name or subscription that a call looks up, sorts or checks. */
export const NAME_FUEL = 64
