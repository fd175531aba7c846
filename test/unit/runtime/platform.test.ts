import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openFilesMax, platformFolders } from '../../../runtime/platform.js'

const platform = suite('platformFolders')

platform('follow XDG on Linux, ignoring relative values', () => {
  const at = (environment: Record<string, string>) => platformFolders({ system: 'linux', environment, home: '/home/u' })
  assert.equal(at({}), {
    config: '/home/u/.config/manyhands',
    data: '/home/u/.local/share/manyhands',
    cache: '/home/u/.cache/manyhands',
  })
  assert.is(at({ XDG_DATA_HOME: '/d' }).data, '/d/manyhands')
  assert.is(at({ XDG_DATA_HOME: 'relative' }).data, '/home/u/.local/share/manyhands')
})

platform('follow the custom of macOS and Windows', () => {
  const mac = platformFolders({ system: 'darwin', environment: {}, home: '/Users/u' })
  assert.is(mac.data, '/Users/u/Library/Application Support/manyhands/data')
  const windows = platformFolders({ system: 'win32', environment: { LOCALAPPDATA: '/local' }, home: '/u' })
  assert.is(windows.config, join('/local', 'manyhands'))
})

platform.run()

const files = suite('openFilesMax')

files('is what the system allows now, and unknown where it does not say', () => {
  const root = mkdtempSync(join(tmpdir(), 'manyhands-limits-'))
  try {
    assert.is(openFilesMax(root), undefined)
    mkdirSync(join(root, 'proc/self'), { recursive: true })
    const limits = join(root, 'proc/self/limits')
    writeFileSync(
      limits,
      'Max processes             11  22  processes\nMax open files            1024                 4096                 files\n',
    )
    assert.is(openFilesMax(root), 1_024)
    writeFileSync(limits, 'Max open files            unlimited            unlimited            files\n')
    assert.is(openFilesMax(root), undefined)
  } finally {
    rmSync(root, { recursive: true })
  }
})

files.run()
