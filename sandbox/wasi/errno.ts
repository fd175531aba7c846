/** Error numbers of WASI preview 1 (`errno` in `wasi_snapshot_preview1.witx`) that this host answers. */
export const ERRNO = {
  success: 0,
  badf: 8,
  busy: 10,
  exist: 20,
  fault: 21,
  ilseq: 25,
  inval: 28,
  isdir: 31,
  loop: 32,
  mfile: 33,
  nametoolong: 37,
  noent: 44,
  nomem: 48,
  nospc: 51,
  notdir: 54,
  notempty: 55,
  notsock: 57,
  notsup: 58,
  perm: 63,
  rofs: 69,
  spipe: 70,
  xdev: 75,
  notcapable: 76,
} as const

/** One of {@link ERRNO}. */
export type Errno = (typeof ERRNO)[keyof typeof ERRNO]

/** A call that ends with an error number for the program. Never leaves the host. */
export class Refusal {
  readonly errno: Errno

  constructor(errno: Errno) {
    this.errno = errno
  }
}

/** One object a number: refusals are frequent (a search path), and need no stack. */
const REFUSALS = new Map<Errno, Refusal>(Object.values(ERRNO).map((errno) => [errno, new Refusal(errno)]))

/** Ends the current call with `errno`. */
export function refuse(errno: Errno): never {
  throw REFUSALS.get(errno)
}
