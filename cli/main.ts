#!/usr/bin/env node
import { systemClock } from '../runtime/clock.js'
import { keepHeapRoom } from '../runtime/heap-room.js'
import { thisPlatform } from '../runtime/platform.js'
import { answerCompletion, COMPLETE } from './completion/answer.js'
import { EXIT } from './terminal/exit-codes.js'
import { Interrupts } from './terminal/interrupts.js'
import { tooFewFiles } from './terminal/too-few-files.js'
import { writeProblem } from './terminal/written-file.js'

/** Time that what was left open may keep the process after its command is over. Unit: ms. */
const EXIT_GRACE_MS = 2_000
const INTERRUPTED_GRACE_MS = 200

const interrupts = new Interrupts()
process.on('SIGINT', () => interrupts.raise())
process.on('SIGTERM', () => interrupts.raise())
// A reader that has seen enough (`| head`) is no fault; a full disk is.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') {
    void interrupts.readerLeft().then(() => process.exit(0))
    return
  }
  process.stderr.write(`error: standard output cannot be written: ${writeProblem(error)}\n`)
  process.exit(1)
})
process.stderr.on('error', () => {})

const platform = thisPlatform(process.env)
if (process.argv[2] === COMPLETE) {
  // Whoever presses the tab key does not wait for the program to load.
  const make = async () => {
    const [{ buildProgram }, { makeCompletionCache }] = [
      await import('./program.js'),
      await import('./completion/make.js'),
    ]
    return makeCompletionCache(await buildProgram(async () => {}), platform)
  }
  process.stdout.write(await answerCompletion(process.argv.slice(3), platform, make))
} else {
  keepHeapRoom()
  const surroundings = {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    platform,
    clock: systemClock,
    interrupts,
  }
  process.exitCode = await import('./program.js')
    .then(({ runCommandLine }) => runCommandLine(process.argv.slice(2), surroundings))
    .catch((error: unknown) => {
      const reason = tooFewFiles()
      if (reason === undefined) throw error
      process.stderr.write(reason)
      process.exit(EXIT.failed)
    })
}
process.stdin.destroy()
// Whoever pressed Ctrl-C does not want to wait for connections to close.
setTimeout(() => process.exit(), interrupts.first.aborted ? INTERRUPTED_GRACE_MS : EXIT_GRACE_MS).unref()
