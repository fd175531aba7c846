/**
 * Processor time that this process has used, its threads included. Unit: ms. What tests of cost measure by: others may be at
 * work on the machine.
 */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
