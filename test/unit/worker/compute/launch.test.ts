import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type LaunchSurroundings, launches, thisMachine } from '../../../../worker/compute/launch.js'

const linuxRoot: LaunchSurroundings = {
  system: 'linux',
  isRoot: true,
  node: '/usr/bin/node',
  program: '/opt/child.js',
  permissionFlag: '--permission',
  programFiles: ['/opt/'],
  folder: '/tmp/empty',
  threads: 4,
  ownTasks: false,
  find: (tool) => `/usr/bin/${tool}`,
}

const test = suite('ways to start the compute process')

test('the first takes everything away, the last nothing', () => {
  const all = launches(linuxRoot)
  assert.equal(all[0]?.takes, ['limits', 'network', 'privileges', 'user', 'permissions'])
  assert.equal(all.at(-1), { command: '/usr/bin/node', args: ['/opt/child.js'], takes: [] })
  for (const { command, args } of all) assert.is([command, ...args].at(-1), '/opt/child.js')
})

test('the user changes last, when the rest needs no more rights', () => {
  const [first] = launches(linuxRoot)
  const words = [first!.command, ...first!.args]
  const order = ['/usr/bin/prlimit', '/usr/bin/unshare', '/usr/bin/setpriv', '/usr/bin/node']
  assert.equal(
    words.filter((word) => order.includes(word)),
    order,
  )
  assert.ok(words.includes('--no-new-privs') && words.includes('--reuid=65534'))
})

test('who is not root gets a network namespace by way of a user namespace, as the same user', () => {
  const [first] = launches({ ...linuxRoot, isRoot: false })
  assert.equal(first?.takes, ['limits', 'network', 'privileges', 'permissions'])
  assert.ok(first?.args.includes('--map-current-user'))
})

test('the working folder itself may be removed, and nothing is written in it', () => {
  const [first] = launches(linuxRoot)
  assert.ok(first?.args.includes('--allow-fs-write=/tmp/empty'))
  assert.equal(
    first?.args.filter((word) => word.startsWith('--allow-fs-read')),
    ['--allow-fs-read=/opt/'],
  )
})

test('nothing is named twice among what may be read, at which Node aborts', () => {
  const { programFiles } = thisMachine('/tmp/empty', 1, false)
  assert.is(new Set(programFiles).size, programFiles.length)
  assert.ok(programFiles.some((path) => path.endsWith('node_modules/')))
})

test('without the tools of Linux there is what Node gives', () => {
  for (const changes of [{ system: 'darwin' }, { system: 'win32' }, { find: () => undefined }]) {
    assert.equal(
      launches({ ...linuxRoot, ...changes }).map(({ takes }) => takes),
      [['permissions'], []],
    )
  }
  assert.equal(
    launches({ ...linuxRoot, system: 'darwin', permissionFlag: undefined }).map(({ takes }) => takes),
    [[]],
  )
})

test('own tasks keep the rights of the worker and gain none', () => {
  assert.equal(
    launches({ ...linuxRoot, ownTasks: true }).map(({ takes }) => takes),
    [['privileges'], []],
  )
})

test.run()
