import type { Command } from 'commander'
import type { PlatformSurroundings } from '../../runtime/platform.js'
import { loadTaskModules, taskRegistry } from '../../tasks/registry.js'
import { resolveSettings } from '../settings/config.js'
import type { CompletionCache } from './cache.js'
import { treeOf } from './tree.js'

/** Everything completion needs of `program`, made anew. */
export async function makeCompletionCache(program: Command, platform: PlatformSurroundings): Promise<CompletionCache> {
  const { settings } = resolveSettings({ flags: {}, environment: platform.environment, platform, file: undefined })
  // A module of the machine's own that cannot be loaded is for other commands to complain about.
  await loadTaskModules(settings.tasks.value).catch(() => {})
  const tasks = taskRegistry.list().map(({ name, summary }) => ({ name, about: summary }))
  return { tree: treeOf(program, tasks), data: settings.data.value }
}
