import { statfsSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { buildJob } from '../../client/job-builder.js'
import { runLocal } from '../../client/run-local.js'
import { formatBytes, formatDuration } from '../../job/quantity.js'
import { parseAddress } from '../../overlay/address.js'
import { openDataDirectory } from '../../overlay/data-directory.js'
import { findLocalProcess } from '../../process/local-process.js'
import type { PublicKey } from '../../proto/model.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { sha256 } from '../../runtime/hash.js'
import { packageRoot } from '../../runtime/package-root.js'
import { threadCount } from '../../runtime/platform.js'
import { systemRandom } from '../../runtime/random.js'
import { withConnection } from '../connect.js'
import type { CommandContext } from '../context.js'
import { EXIT } from '../exit-codes.js'
import { clean } from '../output.js'
import { startLocalCompute } from '../prepared-job.js'
import { listenAt } from '../process-settings.js'
import type { CommandTable } from '../program.js'
import { reportSandbox } from '../sandbox-check/report.js'

/** `warn`: works, but look at it. */
type Health = 'ok' | 'warn' | 'bad'

interface Finding {
  readonly name: string
  readonly health: Health
  readonly says: string
  readonly hint?: string
}

const NODE_MAJOR_MIN = 20
/** Below this a peer that keeps outputs soon has none left. Unit: bytes. */
const FREE_BYTES_MIN = 2 ** 30
/** How far in the past or future a clock is certainly wrong. */
const YEAR_MAX = 2100
const NOBODY = '0'.repeat(64) as PublicKey

/** `manyhands doctor`: what would keep this machine from taking part. */
export function defineDoctor(commands: CommandTable): void {
  commands
    .add('doctor', 'check this machine: what would keep it from taking part', async (context, _, options) => {
      if (options.sandbox === true) return reportSandbox(context)
      const checks = [checkNode, checkData, checkDisk, checkClock, checkPort, checkTasks, checkPeers]
      const findings: Finding[] = []
      for (const check of checks) {
        const finding = await check(context)
        findings.push(finding)
        const { name, health, says, hint } = finding
        const mark = { ok: 'ok  ', warn: 'look', bad: 'BAD ' }[health]
        if (!context.output.json) {
          context.output.line(
            `${mark}  ${name.padEnd(9)}  ${clean(says)}${hint === undefined ? '' : `\n${clean(hint).replace(/^/gm, '                 ')}`}`,
          )
        }
      }
      if (context.output.json) context.output.value({ findings })
      return findings.some(({ health }) => health === 'bad') ? EXIT.failed : EXIT.ok
    })
    .option('--sandbox', 'try every way out of the sandbox on this machine, and say what else holds programs in')
    .addHelpText(
      'after',
      '\nThe exit code is 1 when something is BAD.\n\nExamples:\n  manyhands doctor --join HOST\n  manyhands doctor --sandbox',
    )
}

async function checkNode(): Promise<Finding> {
  const major = Number(process.versions.node.split('.')[0])
  const says = `node ${process.versions.node}, ${process.platform} ${process.arch}, ${threadCount()} threads`
  if (major >= NODE_MAJOR_MIN) return { name: 'program', health: 'ok', says }
  return { name: 'program', health: 'bad', says, hint: `install Node ${NODE_MAJOR_MIN} or newer` }
}

async function checkData({ settings }: CommandContext): Promise<Finding> {
  const folder = settings.data.value
  const local = findLocalProcess(folder, settings.network.value)
  if (local !== undefined) {
    return { name: 'data', health: 'ok', says: `${folder}, in use by the node that runs here (process ${local.pid})` }
  }
  try {
    openDataDirectory(folder).close()
    return { name: 'data', health: 'ok', says: folder }
  } catch (error) {
    return bad('data', error)
  }
}

async function checkDisk({ settings }: CommandContext): Promise<Finding> {
  try {
    const { bavail, bsize } = statfsSync(settings.data.value)
    const free = bavail * bsize
    const says = `${formatBytes(free)} free for ${settings.data.value}`
    if (free >= FREE_BYTES_MIN) return { name: 'disk', health: 'ok', says }
    return { name: 'disk', health: 'warn', says, hint: 'free some space, or choose another folder with --data DIR' }
  } catch (error) {
    return bad('disk', error)
  }
}

async function checkClock({ clock }: CommandContext): Promise<Finding> {
  const now = clock.wallMs()
  const built = statSync(join(packageRoot, 'package.json')).mtimeMs
  const says = new Date(now).toISOString()
  // A day of grace: archives keep times of other zones.
  if (now > built - 86_400_000 && new Date(now).getUTCFullYear() < YEAR_MAX)
    return { name: 'clock', health: 'ok', says }
  return {
    name: 'clock',
    health: 'bad',
    says: `${says} cannot be: the program is from ${new Date(built).toISOString()}`,
    hint: 'set the clock, best by NTP; jobs made with a wrong clock are refused',
  }
}

async function checkPort(context: CommandContext): Promise<Finding> {
  const { settings } = context
  const { host, port } = listenAt(context)
  const where = `${host}:${port}`
  const local = findLocalProcess(settings.data.value, settings.network.value)
  if (local?.address !== undefined)
    return { name: 'port', health: 'ok', says: `a node of this directory listens at ${local.address.split('#')[0]}` }
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    const server = createServer()
    server.once('error', resolve)
    server.listen(port, host, () => server.close(() => resolve(undefined)))
  })
  if (failure === undefined) return { name: 'port', health: 'ok', says: `${where} is free for a node` }
  return {
    name: 'port',
    health: 'warn',
    says: `${where} cannot be listened at (${failure.code ?? 'unknown'})`,
    hint: 'a node needs another: --listen HOST:PORT; work and submit need none',
  }
}

/** Two known answers, computed the way units are: in the child process, on its threads. */
async function checkTasks(context: CommandContext): Promise<Finding> {
  const known = [
    { task: 'primes', source: { type: 'range', range: '0..10^7:10^6' }, args: ['{start}', '{end}'], sum: 664_579 },
    { task: 'mersenne', source: { type: 'array', array: '127' }, args: ['{}'], text: '127 PRIME 0x0000000000000000\n' },
  ] as const
  const compute = startLocalCompute(context, 0)
  const startedAt = context.clock.now()
  try {
    for (const { task, source, args, ...answer } of known) {
      const built = await buildJob(
        { task: { type: 'builtin', name: task, version: 1 }, source, args },
        { sha256, random: systemRandom, nowMs: context.clock.wallMs(), network: 'main', submitter: NOBODY, peers: 0 },
      )
      let text = ''
      let sum = 0
      for await (const { output } of runLocal({ built, compute, sha256, signal: context.interrupts.first })) {
        const stdout = new TextDecoder().decode(output?.stdout)
        text += stdout
        sum += Number(stdout)
      }
      const isRight = 'sum' in answer ? sum === answer.sum : text === answer.text
      if (!isRight) {
        return {
          name: 'tasks',
          health: 'bad',
          says: `${task} computes a wrong answer on this machine`,
          hint: 'its processor or memory may be faulty: do not donate with it',
        }
      }
    }
    return {
      name: 'tasks',
      health: 'ok',
      says: `known answers of ${known.map(({ task }) => task).join(', ')} computed in ${formatDuration(context.clock.now() - startedAt)}`,
    }
  } catch (error) {
    return bad('tasks', error)
  } finally {
    await compute.close()
  }
}

async function checkPeers(context: CommandContext): Promise<Finding> {
  for (const address of context.settings.join.value) {
    try {
      parseAddress(address)
    } catch (error) {
      return bad('peers', error)
    }
  }
  try {
    return await withConnection(context, async ({ process: { overlay } }) => {
      const [first] = overlay.contacts()
      const where = first === undefined ? '' : `, such as ${overlay.endpoint(first).address}`
      return { name: 'peers', health: 'ok', says: `joined '${context.settings.network.value}'${where}` }
    })
  } catch (error) {
    const { message, code } = error instanceof GridError ? error : toGridError(error)
    // Whoever wants to found a network has no peer yet.
    const health: Health = code === 'unreachable' && context.settings.join.value.length === 0 ? 'warn' : 'bad'
    return {
      name: 'peers',
      health,
      says: message,
      hint: 'name a peer with --join HOST, or start a first one: manyhands node',
    }
  }
}

function bad(name: string, error: unknown): Finding {
  const { message, hint } = toGridError(error)
  return { name, health: 'bad', says: message, ...(hint === undefined ? {} : { hint }) }
}
