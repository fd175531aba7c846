import { isPath, readWasmFile, reportFacts } from '../../client/content/wasm-file.js'
import { specDefaults } from '../../job/spec/spec.js'
import { taskRegistry } from '../../tasks/registry.js'
import type { CommandTable } from '../command-table.js'
import { type CommandContext, loadOwnTasks } from '../context.js'
import { findTaskFor } from '../jobs/runnable.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { facts, table } from '../terminal/output.js'

/** `manyhands tasks`: what can be computed without a program of one's own. */
export function defineTasks(commands: CommandTable): void {
  commands
    .add(
      'tasks [task]',
      'list the tasks that are built in, explain one, or examine a program',
      async (context, [name]) => {
        if (name !== undefined && isPath(name)) return examine(context, name)
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
      },
    )
    .addHelpText('after', '\nExamples:\n  manyhands tasks\n  manyhands tasks mandelbrot\n  manyhands tasks ./prog.wasm')
}

/** What admission says of a program, with the memory that units have by default. */
async function examine({ output }: CommandContext, path: string): Promise<ExitCode> {
  const file = await readWasmFile(path, specDefaults.limits.memoryBytes)
  output.answer(facts([...reportFacts(file), ['run it', `manyhands submit ${path} --count N -- {i}`]]), {
    program: file.name,
    admission: file.report,
  })
  return EXIT.ok
}
