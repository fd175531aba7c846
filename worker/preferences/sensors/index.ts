import type { Clock } from '../../../runtime/clock.js'
import { LinuxSensors } from './linux.js'
import { MacSensors, NoSensors, WindowsSensors } from './other.js'
import type { Sensors } from './sensors.js'

export type { Sensors } from './sensors.js'

/** The sensors of an operating system. `root`: where a Linux machine has `/proc`, `/sys` and `/dev`. */
export function sensorsOf(system: string, root: string, clock: Pick<Clock, 'wallMs'>): Sensors {
  switch (system) {
    case 'linux':
      return new LinuxSensors(root, clock)
    case 'darwin':
      return new MacSensors()
    case 'win32':
      return new WindowsSensors()
    default:
      return new NoSensors(system)
  }
}
