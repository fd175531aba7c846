import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DEFAULT_COORDINATOR_OPTIONS } from '../../coordinator/options.js'
import { parseAddress } from '../../overlay/address.js'
import { PEERS_FILE, stateFolder } from '../../process/data-folders.js'
import type { CommandTable } from '../command-table.js'
import { runProcess } from '../grid/long-running.js'
import { listenAt, processSettings } from '../grid/process-settings.js'
import { flagOption, flagValue, whole } from '../settings/flags.js'
import { addPreferenceFlags } from '../settings/preference-sources.js'
import { plural } from '../terminal/output.js'

/** `manyhands node`: a reachable peer that also computes. */
export function defineNode(commands: CommandTable): void {
  const command = commands.add(
    'node',
    'run a reachable peer: it routes, keeps jobs and computes',
    async (context, _, options) => {
      const { settings, output } = context
      const shared = processSettings(context, options, 'info')
      const advertise = settings.advertise.value
      if (advertise !== undefined) parseAddress(advertise)
      const isFirst = shared.join.length === 0 && !existsSync(join(stateFolder(shared.dataFolder), PEERS_FILE))
      return runProcess(
        context,
        { ...shared, listen: listenAt(context), advertise, onlyJob: undefined, ...readQuotas(options) },
        {
          statusLine: false,
          endWhenDone: false,
          stopAtEof: options.stopAtEof === true,
          onReady: ({ endpoint, identity }) => {
            const address = `${endpoint?.address}#${identity.nodeId}`
            output.answer(address, {
              address,
              nodeId: identity.nodeId,
              network: shared.network.name,
              threads: shared.threads,
            })
            if (isFirst)
              output.note(`no peer to join is known: this is a first peer of the network '${shared.network.name}'`)
            const what = shared.threads === 0 ? 'computes nothing' : `computes on ${plural(shared.threads, 'thread')}`
            output.note(`ready; ${what}. Others join with: --join ${endpoint?.address}`)
          },
        },
      )
    },
  )
  addPreferenceFlags(command)
    .option('--listen <host:port>', 'where to listen (0.0.0.0:4747); port 0 takes any')
    .option('--advertise <host:port>', 'address under which others reach it, if another')
    .option('--metrics <host:port>', 'serve metrics for Prometheus there; a port alone: on 127.0.0.1')
    .option('--log-format <format>', 'text or json (text)')
    .addOption(
      flagOption(
        '--judge-for <keys>',
        'replay units of jobs of these submitters that name this key (submit --judge)',
        true,
      ),
    )
    .option('--jobs-per-submitter <n>', 'most jobs of one submitter that it keeps (1000)')
    .option('--stop-at-eof', 'stop when standard input ends, for programs that start this one')
    .addHelpText(
      'after',
      [
        '',
        'Prints host:port#id on standard output when it is ready. The first Ctrl-C finishes what is in hand, the second',
        'leaves at once. With --cpus 0 it computes nothing. Needs a port that others can reach; to donate CPU without one, use "work".',
        '',
        'Examples:',
        '  manyhands node --cpus 0',
        '  manyhands node --join peer.example.org --advertise me.example.org:4747',
      ].join('\n'),
    )
}

/** `--jobs-per-submitter`. Throws GridError `invalid`. */
function readQuotas(options: Readonly<Record<string, unknown>>): { jobsPerSubmitterMax?: number } {
  const { jobsMax } = DEFAULT_COORDINATOR_OPTIONS
  const most = flagValue('--jobs-per-submitter', options.jobsPerSubmitter, (jobs) => whole(jobs, 1, jobsMax))
  return most === undefined ? {} : { jobsPerSubmitterMax: most }
}
