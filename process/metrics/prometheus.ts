import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Millis } from '../../runtime/clock.js'
import type { GridProcess } from '../compose.js'
import type { Ending, Side, TransportMeter } from './measured-transport.js'
import { processGauges } from './process-gauges.js'

/**
 * Metrics of a process for Prometheus; docs/operating.md lists them all. Labels take values from this program alone: methods, error
 * codes, states, types of messages. Never an id, a name or an address, of which strangers can make as many as they like.
 */
export interface ProcessMetrics extends TransportMeter {
  /** What {@link scrape} asks; set once the process runs. */
  watch(process: GridProcess): void
  /** The text exposition format, 0.0.4. */
  readonly contentType: string
  scrape(): Promise<string>
  close(): void
}

/** Upper bounds of the latency histogram: a ping on a LAN to the deadline of a call. Unit: s. */
const LATENCY_BUCKETS_S = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10]
const PREFIX = '/manyhands.v1.'
const WORK = `${PREFIX}Coordinator/Work`

/** Types of messages between worker and owner; a type that is not among them is not counted. */
const WORK_TYPES: ReadonlySet<string> = new Set([
  'hello',
  'want',
  'report',
  'progress',
  'handBack',
  'welcome',
  'spec',
  'grant',
  'ack',
  'settled',
  'withdraw',
  'noWork',
  'fetch',
  'refused',
])

interface WorkMessage {
  readonly type?: unknown
  readonly reports?: unknown
  readonly agreed?: unknown
  readonly disagreed?: unknown
}

/** Makes the metrics of one process. Costs a few microseconds a call or message. */
export function prometheusMetrics(): ProcessMetrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name: `manyhands_${name}`, help, labelNames, registers })

  const rpcs = counter('rpc_total', 'Unary calls that ended, by method, side and code', 'method', 'side', 'code')
  const latency = new Histogram({
    name: 'manyhands_rpc_duration_seconds',
    help: 'Time of unary calls, by method and side',
    labelNames: ['method', 'side'],
    buckets: LATENCY_BUCKETS_S,
    registers,
  })
  const streamsOpen = new Gauge({
    name: 'manyhands_streams_open',
    help: 'Streams open, by method and side',
    labelNames: ['method', 'side'],
    registers,
  })
  const streams = counter('streams_total', 'Streams that ended, by method, side and code', 'method', 'side', 'code')
  const bytes = counter(
    'message_bytes_total',
    'Bytes of messages without what gRPC and TLS add, by method and direction',
    'method',
    'direction',
  )
  const work = counter(
    'work_messages_total',
    'Messages between workers and owners, by side (server: as owner), direction and type: grant, report, ack, settled ...',
    'side',
    'direction',
    'type',
  )
  const acknowledged = counter(
    'reports_acknowledged_total',
    'Reports acknowledged, by side (server: as owner, client: as worker)',
    'side',
  )
  const verdicts = counter(
    'verdicts_total',
    'Answers of workers that were told to have counted or not, by side and verdict (agreed, disagreed)',
    'side',
    'verdict',
  )
  const isClosed = new AbortController()
  let watched: GridProcess | undefined
  const gauges = processGauges(registry)

  return {
    unaryEnded(path: string, side: Side, ending: Ending, durationMs: Millis) {
      const method = methodOf(path)
      rpcs.inc({ method, side, code: ending })
      latency.observe({ method, side }, durationMs / 1000)
    },
    streamOpened: (path, side) => streamsOpen.inc({ method: methodOf(path), side }),
    streamEnded(path, side, ending) {
      const method = methodOf(path)
      streamsOpen.dec({ method, side })
      streams.inc({ method, side, code: ending })
    },
    streamMessage(path, side, direction, message) {
      if (path !== WORK) return
      const { type, reports, agreed, disagreed } = message as WorkMessage
      if (typeof type !== 'string' || !WORK_TYPES.has(type)) return
      work.inc({ side, direction, type })
      if (type === 'ack') acknowledged.inc({ side }, lengthOf(reports))
      if (type === 'settled') {
        verdicts.inc({ side, verdict: 'agreed' }, lengthOf(agreed))
        verdicts.inc({ side, verdict: 'disagreed' }, lengthOf(disagreed))
      }
    },
    bytes: (path, direction, count) => bytes.inc({ method: methodOf(path), direction }, count),
    watch: (process) => {
      watched = process
    },
    contentType: registry.contentType,
    async scrape() {
      if (watched !== undefined && !isClosed.signal.aborted) await gauges(watched)
      return registry.metrics()
    },
    close: () => {
      isClosed.abort()
      registry.clear()
    },
  }
}

function methodOf(path: string): string {
  return path.startsWith(PREFIX) ? path.slice(PREFIX.length) : path.slice(1)
}

function lengthOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0
}
