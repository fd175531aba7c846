#!/usr/bin/env node
import { systemClock } from '../runtime/clock.js'
import { thisPlatform } from '../runtime/platform.js'
import { Interrupts } from './interrupts.js'
import { runCommandLine } from './program.js'

/** Time that what was left open may keep the process after its command is over. Unit: ms. */
const EXIT_GRACE_MS = 2_000
const INTERRUPTED_GRACE_MS = 200

const interrupts = new Interrupts()
process.on('SIGINT', () => interrupts.raise())
process.on('SIGTERM', () => interrupts.raise())
// A reader that has seen enough (`| head`) is no fault; nobody is left to be told about others.
process.stdout.on('error', () => process.exit(0))
process.stderr.on('error', () => {})

process.exitCode = await runCommandLine(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  platform: thisPlatform(process.env),
  clock: systemClock,
  interrupts,
})
process.stdin.destroy()
// Whoever pressed Ctrl-C does not want to wait for connections to close.
setTimeout(() => process.exit(), interrupts.first.aborted ? INTERRUPTED_GRACE_MS : EXIT_GRACE_MS).unref()
