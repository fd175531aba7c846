import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { startProcess } from '../process/compose.js'
import { keepHeapRoom } from '../runtime/heap-room.js'
import { type Logger, silentLogger } from '../runtime/logger.js'
import { BENCH_NETWORK, TASK_MODULE } from './grid.js'

keepHeapRoom()
// One peer or worker of a benchmark: role, data folder, addresses to join, threads. Prints its address when it is ready.
const [role, dataFolder = '', join = '', threads = '0'] = process.argv.slice(2)
// TLS lies above these sockets: what they count is what the wire carries.
const accepted = new Set<Socket>()
let closedBytes = 0
const bytesOf = ({ bytesRead, bytesWritten }: Socket) => bytesRead + bytesWritten
subscribe('net.server.socket', (message) => {
  const { socket } = message as { socket: Socket }
  accepted.add(socket)
  socket.once('close', () => {
    accepted.delete(socket)
    closedBytes += bytesOf(socket)
  })
})
process.on('message', () => {
  process.send?.([...accepted].reduce((sum, socket) => sum + bytesOf(socket), closedBytes))
})
process.on('disconnect', () => process.exit(0))
// The compute process tells what it is kept from once its first thread runs: before that a worker has not started.
let tellComputing: () => void = () => {}
const computing = new Promise<void>((resolve) => {
  tellComputing = resolve
})
const logger: Logger = {
  ...silentLogger,
  info: (event) => {
    if (event === 'sandbox') tellComputing()
  },
  child: () => logger,
}
const running = await startProcess({
  dataFolder,
  network: BENCH_NETWORK,
  join: join === '' ? [] : join.split(','),
  listen: role === 'peer' ? { host: '127.0.0.1', port: 0 } : undefined,
  advertise: undefined,
  threads: Number(threads),
  onlyJob: undefined,
  lowPriority: role === 'worker',
  memoryBytes: 256 * 2 ** 20,
  taskModules: [TASK_MODULE],
  ephemeral: false,
  logger,
})
if (role === 'worker') await computing
process.stdout.write(`${running.endpoint?.address ?? 'leaf'}\n`)
