import { taskRegistry } from '../../tasks/registry.js'
import { findTaskFor, loadOwnTasks } from '../context.js'
import { EXIT } from '../exit-codes.js'
import { table } from '../output.js'
import type { CommandTable } from '../program.js'

/** `manyhands tasks`: what can be computed without a program of one's own. */
export function defineTasks(commands: CommandTable): void {
  commands
    .add('tasks [task]', 'list the tasks that are built in, or explain one', async (context, [name]) => {
      await loadOwnTasks(context)
      const { output } = context
      const all = taskRegistry.list().filter((task) => name === undefined || task.name === name)
      if (name !== undefined && all.length === 0) await findTaskFor(context, name)
      const fields = all.map(({ name, version, summary, usage, defaultArguments, sources }) => ({
        name,
        version,
        summary,
        usage,
        defaultArguments,
        sources,
      }))
      const text =
        name === undefined
          ? table(
              ['TASK', 'VERSION', 'SOURCES', 'DOES'],
              all.map((task) => [
                task.name,
                task.version,
                task.sources.map((kind) => `--${kind}`).join(' '),
                task.summary,
              ]),
            )
          : all.map((task) => `${task.name} ${task.version}: ${task.summary}\n\n${task.usage}`).join('\n\n')
      output.answer(text, { tasks: fields })
      return EXIT.ok
    })
    .addHelpText('after', '\nExamples:\n  manyhands tasks\n  manyhands tasks mandelbrot')
}
