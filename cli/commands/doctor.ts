import type { CommandTable } from '../command-table.js'
import type { CommandContext } from '../context.js'
import type { CheckFinding } from '../doctor/check-finding.js'
import { checkContainment, checkDigests } from '../doctor/compute-checks.js'
import { checkKey } from '../doctor/key-check.js'
import { checkData, checkDisk, checkNode } from '../doctor/machine-checks.js'
import { checkNetwork } from '../doctor/network-checks.js'
import { startLocalCompute } from '../jobs/job-draft.js'
import { reportSandbox } from '../sandbox-check/report.js'
import { EXIT } from '../terminal/exit-codes.js'
import { clean } from '../terminal/output.js'

/** `manyhands doctor`: what would keep this machine from taking part. */
export function defineDoctor(commands: CommandTable): void {
  commands
    .add('doctor', 'check this machine: what would keep it from taking part', async (context, _, options) => {
      if (options.sandbox === true) return reportSandbox(context)
      const findings: CheckFinding[] = []
      for await (const finding of examine(context)) {
        findings.push(finding)
        if (!context.output.json) context.output.line(lineOf(finding))
      }
      if (context.output.json) context.output.value({ findings })
      return findings.some(({ health }) => health === 'bad') ? EXIT.failed : EXIT.ok
    })
    .option('--listen <host:port>', 'where a node would listen (0.0.0.0:4747)')
    .option('--advertise <host:port>', 'address under which others would reach it, if another')
    .option('--sandbox', 'try every way out of the sandbox on this machine, and say what else holds programs in')
    .addHelpText(
      'after',
      [
        '',
        'Looks at Node, the data directory, the disk, the peers, whether they can dial back the port of a node, the clock',
        'against theirs, the sandbox, and known digests of the built-in tasks. What is not ok comes with what to do. The',
        'exit code is 1 when something is BAD.',
        '',
        'Examples:',
        '  manyhands doctor --join HOST',
        '  manyhands doctor --json --join HOST',
        '  manyhands doctor --sandbox',
      ].join('\n'),
    )
}

async function* examine(context: CommandContext): AsyncGenerator<CheckFinding, void, undefined> {
  yield checkNode(context)
  yield checkData(context)
  yield checkDisk(context)
  yield* await checkKey(context)
  yield* await checkNetwork(context)
  const compute = startLocalCompute(context, 0, 1)
  try {
    yield await checkContainment(context, compute)
    yield await checkDigests(context, compute)
  } finally {
    await compute.close()
  }
}

function lineOf({ name, health, says, hint }: CheckFinding): string {
  const mark = { ok: 'ok  ', warn: 'look', bad: 'BAD ' }[health]
  const advice = hint === undefined ? '' : `\n${clean(hint).replace(/^/gm, '                 ')}`
  return `${mark}  ${name.padEnd(9)}  ${clean(says)}${advice}`
}
