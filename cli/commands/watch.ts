import { watchJob } from '../../client/follow/watch.js'
import { toGridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import { withConnection } from '../grid/connect.js'
import { exitOf, Follower } from '../jobs/following.js'
import { countsText, progressFields, resolveJob, stateText } from '../jobs/job-view.js'
import { EXIT } from '../terminal/exit-codes.js'

/** `manyhands watch`: a job as it goes on. */
export function defineWatch(commands: CommandTable): void {
  commands
    .add('watch <job>', 'watch a job until it has ended', async (context, [text]) =>
      withConnection(context, async (connection) => {
        const jobId = await resolveJob(connection, text!)
        const { output, interrupts } = context
        const follower = new Follower(context)
        try {
          const looks = watchJob(connection.client, jobId, {
            signal: interrupts.first,
            onLost: ({ message }) => follower.say(`its home went away (${message}); looking for it`),
          })
          for await (const look of looks) {
            follower.look(look)
            if (output.json) output.value(progressFields(look))
          }
        } catch (error) {
          if (interrupts.first.aborted) return follower.detach(jobId)
          throw toGridError(error)
        } finally {
          follower.stop()
        }
        const { last } = follower
        if (last === undefined) return EXIT.ok
        if (!output.json) output.line(`${stateText(last)}: ${countsText(last.summary)}`)
        return exitOf(last)
      }),
    )
    .addHelpText(
      'after',
      '\nCtrl-C stops watching, not the job. With --json: a line each time something changed.\n\nExample:\n  manyhands watch last',
    )
}
