import type { Restrictions } from '../../worker/compute/restrictions.js'
import type { CommandContext } from '../context.js'
import { startLocalCompute } from '../jobs/job-draft.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { clean } from '../terminal/output.js'
import { SANDBOX_CASES } from './cases.js'
import { checkSandbox } from './check.js'

/** `doctor --sandbox`: tries every way out on this machine, and says what the operating system adds to the sandbox. */
export async function reportSandbox(context: CommandContext): Promise<ExitCode> {
  const { output, clock, interrupts } = context
  const compute = startLocalCompute(context, 0, 1)
  const cases: unknown[] = []
  let failed = 0
  const line = (mark: string, name: string, says: string) => {
    if (!output.json) output.line(`${mark}  ${name.padEnd(16)}  ${clean(says)}`)
  }
  try {
    for await (const checked of checkSandbox(SANDBOX_CASES, compute, clock, interrupts.first)) {
      const { name, passed, says, wallMs } = checked
      if (!passed) failed++
      line(passed ? 'ok  ' : 'BAD ', name, `${says} (${Math.round(wallMs)} ms)`)
      cases.push({ ...checked, wallMs: Math.round(wallMs) })
    }
    const restrictions = await compute.restrictions()
    const around = restrictions === undefined ? [] : restrictionLines(restrictions)
    for (const { name, isInForce, says } of around) line(isInForce ? 'ok  ' : 'look', name, says)
    if (output.json) output.value({ cases, restrictions: restrictions ?? null })
    if (failed > 0)
      output.note('this machine does not keep programs in as it should: do not compute those of strangers')
    else if (around.some(({ isInForce }) => !isInForce))
      output.note('the sandbox holds by itself; what is marked "look" would be a second wall behind it')
    return failed > 0 ? EXIT.failed : EXIT.ok
  } finally {
    await compute.close()
  }
}

interface RestrictionLine {
  readonly name: string
  readonly isInForce: boolean
  readonly says: string
}

/** What stands around the process that computes, in case the sandbox itself has a hole. */
function restrictionLines(found: Restrictions): readonly RestrictionLine[] {
  const { permissionModel, uid, noNewPrivileges, noCapabilities, network, resourceLimits } = found
  const isUnprivileged = uid !== 0
  return [
    {
      name: 'process',
      isInForce: true,
      says: 'of its own, with an empty environment and an empty folder, without the key',
    },
    {
      name: 'files',
      isInForce: permissionModel,
      says: permissionModel
        ? "Node's permission model: it can read the program's own files and what units read, write none, start nothing"
        : "Node's permission model is not in force",
    },
    {
      name: 'network',
      isInForce: network === 'none',
      says: network === 'none' ? 'a namespace without interfaces' : 'the network of this machine can be seen',
    },
    ...(uid === undefined
      ? []
      : [{ name: 'user', isInForce: isUnprivileged, says: isUnprivileged ? `runs as user ${uid}` : 'runs as root' }]),
    ...yesNo('privileges', noNewPrivileges, 'can gain no new ones (no_new_privs)', 'new ones could be gained'),
    ...yesNo('capabilities', noCapabilities, 'holds none', 'holds some'),
    {
      name: 'resources',
      isInForce: resourceLimits,
      says: resourceLimits ? 'no core dumps, no growing files, few open files' : 'without limits of the system',
    },
  ]
}

/** Nothing where the platform does not tell. */
function yesNo(name: string, value: boolean | undefined, yes: string, no: string): readonly RestrictionLine[] {
  return value === undefined ? [] : [{ name, isInForce: value, says: value ? yes : no }]
}
