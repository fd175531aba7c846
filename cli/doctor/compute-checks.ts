import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runLocal } from '../../client/replay/run-local.js'
import { buildJob } from '../../client/submit/job-builder.js'
import { formatDuration } from '../../job/quantity.js'
import type { PublicKey } from '../../proto/model.js'
import { sha256 } from '../../runtime/hash.js'
import { systemRandom } from '../../runtime/random.js'
import type { ComputeProcess } from '../../worker/compute/supervise.js'
import type { CommandContext } from '../context.js'
import { SANDBOX_CASES } from '../sandbox-check/cases.js'
import { checkSandbox } from '../sandbox-check/check.js'
import { plural } from '../terminal/output.js'
import { bad, type CheckFinding } from './check-finding.js'
import { KNOWN_UNITS, type KnownUnit } from './known-digests.js'

const NOBODY = '0'.repeat(64) as PublicKey
const FAULTY = 'its processor or memory may be faulty: do not donate with it; memtest86+ looks closer'

/** The built-in tasks, computed the way units are: in the child process, on its threads. */
export async function checkDigests(
  { clock, interrupts }: CommandContext,
  compute: ComputeProcess,
  known: readonly KnownUnit[] = KNOWN_UNITS,
): Promise<CheckFinding> {
  const startedAt = clock.now()
  const folder = await mkdtemp(join(tmpdir(), 'manyhands-doctor-'))
  try {
    const wrong: string[] = []
    for (const { task, request, digest } of known) {
      const built = await buildJob(request, {
        sha256,
        random: systemRandom,
        nowMs: clock.wallMs(),
        network: 'main',
        submitter: NOBODY,
        peers: 0,
      })
      const inputPaths: { readonly name: string; readonly path: string }[] = []
      for (const { name, content } of request.inputs ?? []) {
        const path = join(folder, `${task}-${inputPaths.length}`)
        await writeFile(path, await content.read(0, content.size), { mode: 0o600 })
        inputPaths.push({ name, path })
      }
      for await (const answer of runLocal({ built, compute, sha256, inputPaths, signal: interrupts.first })) {
        if (answer.digest !== digest)
          wrong.push(`${task} gives ${answer.digest.slice(0, 12)}, not ${digest.slice(0, 12)}`)
      }
    }
    const names = known.map(({ task }) => task).join(', ')
    if (wrong.length > 0)
      return { name: 'tasks', health: 'bad', says: `wrong answers: ${wrong.join('; ')}`, hint: FAULTY }
    return {
      name: 'tasks',
      health: 'ok',
      says: `known digests of ${names} computed in ${formatDuration(clock.now() - startedAt)}`,
    }
  } catch (error) {
    return bad('tasks', error)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Every way out of the sandbox, tried; `doctor --sandbox` shows each. */
export async function checkContainment(
  { clock, interrupts }: CommandContext,
  compute: ComputeProcess,
): Promise<CheckFinding> {
  try {
    const failed: string[] = []
    let cases = 0
    for await (const { name, passed } of checkSandbox(SANDBOX_CASES, compute, clock, interrupts.first)) {
      cases++
      if (!passed) failed.push(name)
    }
    if (failed.length === 0)
      return { name: 'sandbox', health: 'ok', says: `${plural(cases, 'way')} out tried, none leads out` }
    const says = `does not hold: ${failed.join(', ')}`
    const hint = "do not compute programs of strangers here; 'manyhands doctor --sandbox' shows each case"
    return { name: 'sandbox', health: 'bad', says, hint }
  } catch (error) {
    return bad('sandbox', error)
  }
}
