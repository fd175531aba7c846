import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import { SqliteLog } from '../../../../coordinator/store/sqlite-log.js'
import { rejects } from '../../../support/rejects.js'

const folder = mkdtempSync(join(tmpdir(), 'manyhands-sqlite-log-'))
const Log = suite('SqliteLog')

Log('syncs the log beside the database, again and again, and closes', async () => {
  const path = join(folder, 'store.db')
  writeFileSync(`${path}-wal`, 'frames')
  const log = new SqliteLog(path)
  await log.sync()
  await Promise.all([log.sync(), log.sync()])
  await log.close()
  await log.close()
})

Log('a sync that failed once is never trusted again', async () => {
  const path = join(folder, 'none.db')
  const log = new SqliteLog(path)
  await rejects(log.sync(), 'unavailable')
  writeFileSync(`${path}-wal`, 'frames')
  await rejects(log.sync(), 'unavailable')
  await log.close()
})

Log.after(() => rmSync(folder, { recursive: true, force: true }))
Log.run()
