import { utf8 } from '../../runtime/hex.js'
import type { Memory } from '../engine.js'
import { argumentCalls } from './call-argument.js'
import { descriptorCalls } from './call-descriptor.js'
import { endCalls } from './call-end.js'
import { fileCalls } from './call-file.js'
import { folderCalls } from './call-folder.js'
import { openCalls } from './call-open.js'
import { pathCalls } from './call-path.js'
import { timeCalls } from './call-time.js'
import type { CallContext, Calls } from './calls.js'
import { VirtualClock } from './clock.js'
import { DescriptorTable } from './descriptors.js'
import { ERRNO, Refusal } from './errno.js'
import { CALL_FUEL } from './limits.js'
import { GuestMemory } from './memory.js'
import { UnitRandom } from './random.js'
import { FileTree } from './tree.js'

/** Functions as an engine takes them: they give an error number. */
type ImportedCalls = Readonly<Record<string, (...args: never[]) => number>>

/** What a program is started with, besides its files. */
interface HostStart {
  /** Arguments, the program's name first. */
  readonly args: readonly string[]
  readonly environment: ReadonlyMap<string, string>
  /** Seed of the job and index of the unit: what random bytes depend on. */
  readonly seed: bigint
  readonly unit: number
  /** Charges fuel, once a call. Unit: fuel, an integer above 0. */
  readonly spend: (fuel: number) => void
}

/**
 * The WASI preview 1 host of one run: everything that the program sees is a function of what it is given here and of its
 * own calls. The caller opens standard streams and folders in {@link descriptors}, in the order of their numbers, and
 * attaches the memory of the instance.
 */
export class WasiHost {
  readonly memory: GuestMemory
  readonly tree: FileTree
  readonly descriptors: DescriptorTable
  /** All 46 functions of preview 1. They throw nothing but `Stop`, whatever their arguments, and what a broken input throws. */
  readonly imports: ImportedCalls

  constructor(start: HostStart) {
    const clock = new VirtualClock()
    // Summed over a call: one write of the fuel global is dear enough.
    let pending = 0
    const spend = (fuel: number) => {
      pending += fuel
    }
    this.memory = new GuestMemory(spend)
    this.tree = new FileTree(() => clock.realtime, spend)
    this.descriptors = new DescriptorTable((node) => this.tree.release(node))
    const context: CallContext = {
      memory: this.memory,
      descriptors: this.descriptors,
      tree: this.tree,
      clock,
      random: new UnitRandom(start.seed, start.unit),
      args: start.args.map(encodeEntry),
      environment: [...start.environment].map(([name, value]) => encodeEntry(`${name}=${value}`)),
      spend,
    }
    const groups: readonly Calls[] = [
      argumentCalls(context),
      timeCalls(context),
      fileCalls(context),
      descriptorCalls(context),
      folderCalls(context),
      openCalls(context),
      pathCalls(context),
      endCalls(context),
    ]
    /** A call as the program sees it: paid for, on the memory as it is now, its refusals as error numbers. */
    const guarded =
      (call: (...args: never[]) => void) =>
      (...args: never[]): number => {
        pending = CALL_FUEL
        this.memory.refresh()
        try {
          call(...args)
          return ERRNO.success
        } catch (error) {
          if (error instanceof Refusal) return error.errno
          throw error
        } finally {
          start.spend(pending)
        }
      }
    // Made for every unit, tiny ones too: plain assignments are several times faster than spreading and `fromEntries`.
    const imports: Record<string, (...args: never[]) => number> = {}
    for (const calls of groups) for (const name in calls) imports[name] = guarded(calls[name]!)
    this.imports = imports
  }

  /** Gives the host the program's memory; before that, every pointer is refused. */
  attach(memory: Memory): void {
    this.memory.attach(memory)
  }
}

function encodeEntry(text: string): Uint8Array {
  return utf8(`${text}\0`)
}
