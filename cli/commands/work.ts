import { JobList } from '../../client/submit/job-list.js'
import { GridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import { clientDisk, seedsFor } from '../grid/connect.js'
import { runProcess } from '../grid/long-running.js'
import { processSettings } from '../grid/process-settings.js'
import { flagOption } from '../settings/flags.js'
import { addPreferenceFlags } from '../settings/preference-sources.js'
import { plural } from '../terminal/output.js'

/** `manyhands work`: donate CPU. */
export function defineWork(commands: CommandTable): void {
  const command = commands.add('work', 'donate CPU; no port to open, no account', async (context, _, options) => {
    const { output } = context
    const shared = processSettings(context, options, output.isInteractive ? 'error' : 'warn')
    if (shared.threads === 0) {
      throw new GridError('invalid', 'a worker needs at least one thread', {
        hint: '--cpus 1; to route only, run: manyhands node --cpus 0',
      })
    }
    const onlyJob =
      options.job === undefined ? undefined : await new JobList(clientDisk(context)).resolve(String(options.job))
    // Peers are looked for as long as it takes, but somebody must be known to begin with.
    const join = await seedsFor(context)
    return runProcess(
      context,
      { ...shared, join, listen: undefined, advertise: undefined, onlyJob },
      {
        statusLine: true,
        stopAtEof: options.stopAtEof === true,
        endWhenDone: true,
        onReady: ({ identity, overlay }) => {
          output.note(
            `donating ${plural(shared.threads, 'thread')} at the lowest priority, as ${identity.nodeId.slice(0, 12)}`,
          )
          if (output.json)
            output.value({ nodeId: identity.nodeId, publicKey: identity.publicKey, threads: shared.threads })
          if (!overlay.joined) output.note('looking for peers')
        },
      },
    )
  })
  addPreferenceFlags(command)
    .option('--job <id>', 'work on this job only')
    .option('--units <n>', 'end after so many units')
    .option('--for <time>', 'end after this long: 30m, 8h')
    .option('--metrics <host:port>', 'serve metrics for Prometheus there; a port alone: on 127.0.0.1')
    .option('--log-format <format>', 'text or json (text)')
    .addOption(
      flagOption(
        '--judge-for <keys>',
        'replay units of jobs of these submitters that name this key (submit --judge)',
        true,
      ),
    )
    .option('--stop-at-eof', 'stop when standard input ends, for programs that start this one')
    .addHelpText(
      'after',
      [
        '',
        'Computes units of whatever job has work, at the lowest priority of the operating system. The first Ctrl-C finishes',
        'or hands back what is in hand, the second leaves at once. Only results that others confirmed count as donated.',
        'What these flags say can be said in the configuration file, too, and changed while it runs: manyhands prefs.',
        '',
        'Examples:',
        '  manyhands work --join peer.example.org',
        '  manyhands work --join peer.example.org --cpus 50% --for 8h',
        '  manyhands work --hours 22:00-07:00 --max-temp 75 --pause-for steam --cpu-time 50%',
        '  manyhands work --job 3fa9c01d... --join peer.example.org',
      ].join('\n'),
    )
}
