import { clientFolder } from '../../process/data-folders.js'
import type { CommandTable } from '../command-table.js'
import { withConnection } from '../grid/connect.js'
import { openAdmin } from '../grid/local-admin.js'
import { resolveJob } from '../jobs/job-view.js'
import { EXIT } from '../terminal/exit-codes.js'

/** `manyhands top`: the dashboard. */
export function defineTop(commands: CommandTable): void {
  commands
    .add('top [job...]', 'a live dashboard: jobs, units, peers, this machine, its log', async (context, texts) =>
      withConnection(context, async (connection) => {
        const named = await Promise.all(texts.map((text) => resolveJob(connection, text)))
        // The screen's library is large: other commands do without it.
        const { runTop } = await import('../top/run.js')
        const { adminConnection } = await import('../top/sources/admin-connection.js')
        const end = await runTop(context, connection, {
          named,
          listFolder: clientFolder(context.settings.data.value),
          openAdmin: async () => adminConnection(openAdmin(context)),
        })
        return end === 'interrupted' ? EXIT.interrupted : EXIT.ok
      }),
    )
    .addHelpText(
      'after',
      [
        '',
        'Shows your jobs, and those named. ? explains the keys, q quits; jobs and workers go on. Without a terminal: a line for',
        'each change, with --json as one value a line. NO_COLOR is honoured.',
        '',
        'Examples:',
        '  manyhands top --join HOST',
        '  manyhands top | tee grid.log',
      ].join('\n'),
    )
}
