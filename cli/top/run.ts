import { watch } from 'node:fs'
import { cancelJob, retryJobs } from '../../client/submit/orders.js'
import { submitJob } from '../../client/submit/submit.js'
import { count } from '../../job/units/selection.js'
import type { JobId } from '../../proto/model.js'
import { toGridError } from '../../runtime/errors.js'
import { systemRandom } from '../../runtime/random.js'
import { stopOfMany } from '../../runtime/stop.js'
import type { CommandContext } from '../context.js'
import type { Connection } from '../grid/connect.js'
import { shortId, taskText } from '../jobs/job-view.js'
import { aborting } from '../terminal/interrupts.js'
import { plural } from '../terminal/output.js'
import type { TopEffect, TopEvent } from './core/messages.js'
import { Top } from './core/top.js'
import { PlainTop } from './plain.js'
import { AdminFollower, type AdminSource } from './sources/admin-source.js'
import { JobsSource } from './sources/jobs-source.js'
import { PeersSource } from './sources/peers-source.js'
import { UnitsSource } from './sources/units-source.js'
import { frame } from './view/frame.js'

/** What `top` needs besides its connection. */
interface TopOptions {
  /** Jobs to show besides one's own. */
  readonly named: readonly JobId[]
  /** Opens the admin socket of the process on this data directory. Rejects with GridError when there is none. */
  readonly openAdmin: () => Promise<AdminSource>
  /** Folder that holds the list of jobs: a change of it is seen at once. */
  readonly listFolder: string
}

/** Ages on the screen change once a second. The lists of jobs are read again after these. Unit: ms. */
const TICK_MS = 1_000
const LIST_MS = 30_000
const NETWORK_LIST_MS = 300_000
/** After a change of the folder, which comes as several. Unit: ms. */
const LIST_CHANGED_MS = 200

/** Shows the dashboard, or plain lines where there is no terminal, until it is quit. Resolves to whether that was by Ctrl-C. */
export async function runTop(
  context: CommandContext,
  connection: Connection,
  options: TopOptions,
): Promise<'quit' | 'interrupted'> {
  const { interrupts, clock, stdin, output } = context
  const stop = stopOfMany()
  void aborting(interrupts.first).then(() => stop.abort('interrupt'))
  const isTerminal = output.canDraw && (stdin as Partial<NodeJS.ReadStream>).isTTY === true
  const show = isTerminal ? await openScreen(context, connection, stop) : plainLines(context)
  const sources = startSources(connection, options, clock, stop.signal, show.emit)
  show.perform(sources.perform)
  try {
    await aborting(stop.signal)
  } finally {
    stop.abort()
    show.close()
    await sources.closed()
  }
  return stop.signal.reason === 'interrupt' ? 'interrupted' : 'quit'
}

/** Somewhere to show what happens. */
interface Show {
  emit(event: TopEvent): void
  /** Hands over what performs the effects of keys. */
  perform(perform: (effect: TopEffect) => void): void
  close(): void
}

function clockText(wallMs: number): string {
  return new Date(wallMs).toTimeString().slice(0, 8)
}

function plainLines({ output, clock }: CommandContext): Show {
  const plain = new PlainTop(output, clockText)
  return { emit: (event) => plain.handle(event, clock.wallMs()), perform() {}, close() {} }
}

async function openScreen(context: CommandContext, connection: Connection, stop: AbortController): Promise<Show> {
  const { clock, platform } = context
  // The library measures itself when it is not told that this is no development.
  process.env.NODE_ENV ??= 'production'
  const { Terminal } = await import('./terminal.js')
  const surroundings = { network: connection.network.name, clock: clockText }
  let perform: (effect: TopEffect) => void = () => {}
  const handle = (event: TopEvent, urgent = false) => {
    for (const effect of top.handle(event)) {
      if (effect.type === 'quit' || effect.type === 'interrupt') stop.abort(effect.type)
      else perform(effect)
    }
    terminal.changed(urgent)
  }
  const terminal = new Terminal({
    stdin: context.stdin as unknown as NodeJS.ReadStream,
    stdout: context.stdout as unknown as NodeJS.WriteStream,
    clock,
    isColoured: (platform.environment.NO_COLOR ?? '') === '',
    draw: () => frame(top.state, surroundings),
    onKeys: (keys) => {
      for (const key of keys) handle({ type: 'keyPressed', key }, true)
    },
    onResize: (size) => handle({ type: 'resized', ...size }, true),
  })
  const { columns, rows } = terminal.size
  const top = new Top(columns, rows, clock.wallMs())
  terminal.open()
  const tick = setInterval(() => handle({ type: 'ticked', wallMs: clock.wallMs() }), TICK_MS)
  return {
    emit: handle,
    perform: (performer) => {
      perform = performer
    },
    close: () => {
      clearInterval(tick)
      terminal.close()
    },
  }
}

function startSources(
  connection: Connection,
  { named, openAdmin, listFolder }: TopOptions,
  clock: CommandContext['clock'],
  signal: AbortSignal,
  emit: (event: TopEvent) => void,
): { perform(effect: TopEffect): void; closed(): Promise<void> } {
  const { client, list, process: gridProcess } = connection
  const { overlay, identity } = gridProcess
  const jobs = new JobsSource({ client, list, named, clock, signal, emit })
  const units = new UnitsSource({ client, clock, signal, emit })
  const peers = new PeersSource({
    overlay,
    self: identity.nodeId,
    transport: client.parts.transport,
    clock,
    random: systemRandom,
    signal,
    emit,
  })
  const admin = new AdminFollower({ clock, signal, open: openAdmin, emit })
  const running = [peers.run(), admin.run()]
  void jobs.refresh(true)
  const lists = [
    setInterval(() => void jobs.refresh(false), LIST_MS),
    setInterval(() => void jobs.refresh(true), NETWORK_LIST_MS),
  ]
  const unwatch = watchFolder(listFolder, () => void jobs.refresh(false))
  const act = (what: Promise<string>) =>
    what.then(
      (text) => emit({ type: 'noticed', text, tone: 'good' }),
      (error: unknown) => emit({ type: 'noticed', text: toGridError(error).message, tone: 'bad' }),
    )
  return {
    perform(effect) {
      switch (effect.type) {
        case 'quit':
        case 'interrupt':
          return
        case 'showTab':
          peers.isShown = effect.tab === 'peers'
          return
        case 'listUnits':
          units.list(effect.query)
          return
        case 'openUnit':
          units.open(effect.jobId, effect.unit)
          return
        case 'pause':
          void act(admin.act('pause').then(() => 'this machine pauses; p lets it go on'))
          return
        case 'resume':
          void act(admin.act('resume').then(() => 'this machine computes again'))
          return
        case 'cancelJob':
          void act(cancelJob(client, effect.jobId).then(() => `cancelled ${shortId(effect.jobId)}`))
          return
        case 'retryJob':
          void act(retry(connection, effect.jobId).then((text) => jobs.refresh(false).then(() => text)))
          return
      }
    },
    async closed() {
      for (const timer of lists) clearInterval(timer)
      unwatch()
      await Promise.all([...running, jobs.closed()])
    },
  }
}

/** Submits the failed and held units of a job anew, as `manyhands retry` does. */
async function retry({ client, list }: Connection, jobId: JobId): Promise<string> {
  const ids: string[] = []
  let units = 0
  for (const child of await retryJobs(client, jobId)) {
    const own = count(child.spec.selection)
    const summary = `${taskText(child.spec.task)} (retry of ${plural(own, 'unit')})`
    ids.push(shortId((await submitJob(client, child, { list, summary })).jobId))
    units += own
  }
  return `${plural(units, 'unit')} computed again by ${ids.join(' ')}`
}

/** Calls `changed` a moment after something in a folder has. Where folders cannot be watched, it never does. */
function watchFolder(folder: string, changed: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  try {
    const watcher = watch(folder, { persistent: false }, () => {
      clearTimeout(timer)
      timer = setTimeout(changed, LIST_CHANGED_MS)
    })
    watcher.on('error', () => watcher.close())
    return () => {
      clearTimeout(timer)
      watcher.close()
    }
  } catch {
    return () => {}
  }
}
