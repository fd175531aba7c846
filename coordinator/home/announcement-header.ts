import type { JobSpec } from '../../proto/model.js'
import { utf8 } from '../../runtime/hex.js'

/**
 * What a worker reads on the board before it connects: the task and what a unit may use. Text, one `name value` pair a
 * line; unknown names are passed over. It only steers who connects: the signed spec counts.
 */
export function announcementHeader(spec: JobSpec): Uint8Array {
  const task =
    spec.task.type === 'builtin'
      ? `builtin ${spec.task.name}@${spec.task.version}`
      : `module ${spec.task.module.digest}`
  return utf8(`task ${task}\nmemory ${spec.limits.memoryBytes}\nworkers ${spec.workers.length > 0 ? 'named' : 'any'}\n`)
}

/** What {@link announcementHeader} says; hostile bytes give a header that asks for nothing known. */
export function readAnnouncementHeader(bytes: Uint8Array): { readonly task: string; readonly memoryBytes: number } {
  let task = ''
  let memoryBytes = 0
  for (const line of new TextDecoder().decode(bytes).split('\n', 16)) {
    const space = line.indexOf(' ')
    const value = line.slice(space + 1)
    if (line.startsWith('task ')) task = value
    else if (line.startsWith('memory ')) memoryBytes = Number(value) || 0
  }
  return { task, memoryBytes }
}
