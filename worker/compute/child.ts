/**
 * The compute process. It has no key and no data directory, its environment is empty, and the one thing it talks to is the
 * pipe to the worker that started it (descriptor 3). What its units read stands in one file that it inherits (descriptor 4),
 * open for reading, so that it need not open files (`launch.ts` says what it may not do). It ends when the pipe does,
 * however the worker ended.
 */
import { rmdirSync } from 'node:fs'
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net'
import { networkInterfaces } from 'node:os'
import { systemClock } from '../../runtime/clock.js'
import { boundCompilation } from './bound-compilation.js'
import { FrameReader, writeFrame } from './frames.js'
import {
  type Control,
  decodeControl,
  decodeRun,
  encodeFacts,
  encodeProgress,
  encodeTickets,
  FRAME,
} from './messages.js'
import { Pool, type PoolEvents } from './pool.js'

/** Descriptor of the pipe to the worker. */
const PIPE = 3
/** Descriptor of the file with modules and inputs. */
const CONTENT = 4
/** Read from the pipe at a time: what Linux lets wait in it. Unit: bytes. */
const READ_BYTES = 256 * 1024
/** Results may pile up to this size before threads get no more work. */
const UNSENT_BYTES_MAX = 32 * 1024 * 1024

process.title = 'manyhands compute'
boundCompilation()

let pool: Pool | undefined

/** The worker is gone: so is everything of ours, the empty working folder included. */
function leave(): never {
  const folder = process.cwd()
  try {
    // Windows keeps a folder somebody stands in; elsewhere it does not matter, and may not be allowed.
    process.chdir('/')
  } catch {}
  try {
    rmdirSync(folder)
  } catch {
    // The worker removed it.
  }
  process.exit(0)
}

/** What this process finds of what was taken away from it. */
function tellFacts(): void {
  const { permission } = process as { readonly permission?: unknown }
  const facts = {
    permissionModel: permission !== undefined,
    uid: process.getuid?.(),
    interfaces: Object.keys(networkInterfaces()).length,
  }
  writeFrame(pipe, FRAME.ready, [encodeFacts(facts)])
}

const events: PoolEvents = {
  ready: () => tellFacts(),
  started: (tickets) => writeFrame(pipe, FRAME.started, [encodeTickets(tickets)]),
  results: (parts) => writeFrame(pipe, FRAME.results, parts),
  returned: (tickets) => writeFrame(pipe, FRAME.returned, [encodeTickets(tickets)]),
  progress: (running) => writeFrame(pipe, FRAME.progress, [encodeProgress(running)]),
  trouble: (reason) => process.stderr.write(`${reason}\n`),
  broken: (reason) => {
    process.stderr.write(`${reason}\n`)
    process.exit(1)
  },
  writable: () => pipe.writableLength < UNSENT_BYTES_MAX,
}

function onControl(control: Control): void {
  switch (control.type) {
    case 'start':
      pool = new Pool({ ...control, content: CONTENT, clock: systemClock }, events)
      return
    case 'openJob':
      pool?.openJob(control)
      return
    case 'closeJob':
      pool?.closeJob(control.job)
      return
    case 'abort':
      pool?.abort(control.tickets)
      return
    case 'continued':
      pool?.continued(control.stoppedMs)
      return
  }
}

const reader = new FrameReader((type, body) => {
  if (type === FRAME.control) {
    onControl(decodeControl(body))
    return
  }
  const { job, units } = decodeRun(body)
  pool?.run(job, units)
})

// The types of Node 20 know `onread` for connections alone; the constructor is where it is read.
const pipeOptions: SocketConstructorOpts & Pick<ConnectOpts, 'onread'> = {
  fd: PIPE,
  readable: true,
  writable: true,
  // What the reader has copied is read over: a buffer for each piece would be a megabyte of garbage for one of items.
  onread: {
    buffer: Buffer.allocUnsafeSlow(READ_BYTES),
    callback: (bytes, buffer) => {
      reader.push(Buffer.from(buffer.buffer, buffer.byteOffset, bytes))
      return true
    },
  },
}
const pipe = new Socket(pipeOptions)
pipe.on('drain', () => pool?.dispatch())
pipe.on('end', () => leave())
pipe.on('close', () => leave())
pipe.on('error', () => leave())
// Ctrl-C on a terminal reaches the whole group; the worker decides when computing ends.
process.on('SIGINT', () => {})
