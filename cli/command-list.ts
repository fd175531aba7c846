import type { CommandTable } from './command-table.js'

/** A file below `commands/`: what it defines, and how to load it. */
interface CommandFile {
  /** Names of its commands. */
  readonly names: readonly string[]
  /** It tells of all commands, which are loaded with it. */
  readonly tellsOfAll?: true
  readonly load: () => Promise<(commands: CommandTable) => void>
}

/**
 * Every command, in the order in which help lists them. Each file is loaded where it is named, and not with the others:
 * together they are most of the program, and whoever types a command waits for what it loads.
 */
export const COMMAND_FILES: readonly CommandFile[] = [
  { names: ['node'], load: async () => (await import('./commands/node.js')).defineNode },
  { names: ['work'], load: async () => (await import('./commands/work.js')).defineWork },
  {
    names: ['pause', 'resume', 'prefs', 'drain'],
    load: async () => (await import('./commands/volunteer.js')).defineVolunteer,
  },
  { names: ['submit'], load: async () => (await import('./commands/submit.js')).defineSubmit },
  { names: ['map'], load: async () => (await import('./commands/map.js')).defineMap },
  { names: ['run-local'], load: async () => (await import('./commands/run-local.js')).defineRunLocal },
  { names: ['jobs'], load: async () => (await import('./commands/jobs.js')).defineJobs },
  { names: ['show'], load: async () => (await import('./commands/show.js')).defineShow },
  { names: ['watch'], load: async () => (await import('./commands/watch.js')).defineWatch },
  { names: ['wait'], load: async () => (await import('./commands/wait.js')).defineWait },
  { names: ['units'], load: async () => (await import('./commands/units.js')).defineUnits },
  { names: ['results'], load: async () => (await import('./commands/results.js')).defineResults },
  { names: ['replay'], load: async () => (await import('./commands/replay.js')).defineReplay },
  { names: ['verify'], load: async () => (await import('./commands/verify.js')).defineVerify },
  { names: ['receipt', 'check'], load: async () => (await import('./commands/receipt.js')).defineReceipt },
  {
    names: ['cancel', 'priority', 'retry'],
    load: async () => (await import('./commands/control.js')).defineControl,
  },
  { names: ['extend', 'rm'], load: async () => (await import('./commands/keep.js')).defineKeep },
  { names: ['explain'], load: async () => (await import('./commands/explain.js')).defineExplain },
  { names: ['status'], load: async () => (await import('./commands/status.js')).defineStatus },
  { names: ['stats'], load: async () => (await import('./commands/stats.js')).defineStats },
  { names: ['top'], load: async () => (await import('./commands/top.js')).defineTop },
  { names: ['tasks'], load: async () => (await import('./commands/tasks.js')).defineTasks },
  { names: ['peers'], load: async () => (await import('./commands/peers.js')).definePeers },
  { names: ['id'], load: async () => (await import('./commands/id.js')).defineId },
  { names: ['network'], load: async () => (await import('./commands/network.js')).defineNetwork },
  { names: ['doctor'], load: async () => (await import('./commands/doctor.js')).defineDoctor },
  { names: ['config'], load: async () => (await import('./commands/config.js')).defineConfig },
  {
    names: ['completion'],
    tellsOfAll: true,
    load: async () => (await import('./commands/completion.js')).defineCompletion,
  },
  { names: ['demo'], load: async () => (await import('./commands/demo.js')).defineDemo },
]
