/** What a disk that refuses writes is to be told as, and what to do. */
interface DiskProblem {
  readonly text: string
  readonly hint?: string
}

const FULL: DiskProblem = {
  text: 'the disk is full',
  hint: 'free some space; nothing acknowledged is lost, and work goes on by itself',
}
const READ_ONLY: DiskProblem = {
  text: 'the disk is read-only (EROFS)',
  hint: 'systems do that to a disk that fails: look at the log of the system, mend it, and start this node again; nothing acknowledged is lost',
}
const FAILING: DiskProblem = {
  text: 'the disk fails (EIO)',
  hint: 'look at the log of the system and move the data directory to another disk; nothing acknowledged is lost',
}
/** SQLite says no more than that a write failed: a quota or a limit on file size shows so, a broken disk as well. */
const REFUSED: DiskProblem = {
  text: 'the disk is full, read-only or broken',
  hint: 'free some space, or look at the log of the system; nothing acknowledged is lost, and work goes on by itself',
}

const PROBLEMS: Readonly<Record<string, DiskProblem>> = {
  ENOSPC: FULL,
  EDQUOT: FULL,
  EFBIG: FULL,
  SQLITE_FULL: FULL,
  EROFS: READ_ONLY,
  SQLITE_READONLY: READ_ONLY,
  EIO: FAILING,
  SQLITE_IOERR_WRITE: REFUSED,
  SQLITE_IOERR_FSYNC: FAILING,
}

/** The problem behind an error code of the system or of SQLite; undefined: it is not the disk's. */
export function diskProblem(code: string): DiskProblem | undefined {
  return Object.hasOwn(PROBLEMS, code) ? PROBLEMS[code] : undefined
}
