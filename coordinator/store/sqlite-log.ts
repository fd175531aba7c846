import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GridError } from '../../runtime/errors.js'

/**
 * Makes what SQLite has written to its write-ahead log durable, off the event loop. SQLite itself is told not to
 * (`synchronous = NORMAL`): its own sync would hold up everything else of this process for as long as the disk takes,
 * 50 ms and more on a busy one. What was not synced when the machine dies is cut off at the next start by the checksums of
 * the log, whole transactions at a time (sqlite.org/wal.html).
 */
export class SqliteLog {
  readonly #path: string
  #file: Promise<FileHandle> | undefined
  #failure: GridError | undefined

  /** `path`: of the database. */
  constructor(path: string) {
    this.#path = path
  }

  /**
   * Resolves once every transaction committed before this call is on disk. Rejects with GridError `unavailable`; from then
   * on always, as a system that failed to sync may have dropped the pages (Rebello et al., "Can applications recover from
   * fsync failures?", ATC 2020).
   */
  async sync(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      this.#file ??= this.#open()
      await (await this.#file).datasync()
    } catch (error) {
      this.#failure = new GridError('unavailable', 'the disk failed to keep what was written to the job store', {
        cause: error,
        hint: 'check the disk, then stop this node and start it again; nothing acknowledged is lost',
      })
      throw this.#failure
    }
  }

  async close(): Promise<void> {
    const file = await this.#file?.catch(() => undefined)
    this.#file = undefined
    await file?.close()
  }

  /** Once for the life of the database handle: SQLite keeps the file, cuts it, and removes it when it closes. */
  async #open(): Promise<FileHandle> {
    // For writing, as Windows asks of those who flush.
    const file = await open(`${this.#path}-wal`, 'r+')
    if (process.platform !== 'win32') {
      const folder = await open(dirname(this.#path), 'r')
      try {
        await folder.sync()
      } finally {
        await folder.close()
      }
    }
    return file
  }
}
