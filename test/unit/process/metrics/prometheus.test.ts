import { request } from 'node:http'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MeasuredTransport } from '../../../../process/metrics/measured-transport.js'
import { serveMetrics } from '../../../../process/metrics/metrics-server.js'
import { prometheusMetrics } from '../../../../process/metrics/prometheus.js'
import { methods } from '../../../../proto/methods.js'
import type { JobId } from '../../../../proto/model.js'
import { systemClock } from '../../../../runtime/clock.js'
import { GridError } from '../../../../runtime/errors.js'
import { silentLogger } from '../../../../runtime/logger.js'
import { eventually } from '../../../support/deadline.js'
import { rejects } from '../../../support/rejects.js'
import { GrpcNodes } from '../../../support/transport/grpc-nodes.js'

const nodes = new GrpcNodes()
const closers: (() => Promise<void> | void)[] = []
const metrics = suite('metrics')
metrics.after(async () => {
  for (const close of closers) await close()
  await nodes.closeAll()
})

function sampleOf(text: string, name: string): number | undefined {
  const line = text.split('\n').find((other) => other.startsWith(`${name} `))
  return line === undefined ? undefined : Number(line.slice(name.length + 1))
}

function get(port: number, path: string, method = 'GET', body = ''): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

metrics('calls, streams, messages and bytes are counted, by method, side and code', async () => {
  const counted = prometheusMetrics()
  closers.push(() => counted.close())
  const { endpoint } = await nodes.peer((transport) => {
    const measured = new MeasuredTransport(transport, counted, systemClock)
    measured.handleUnary(methods.show, () => {
      throw new GridError('notFound', 'no such job')
    })
    measured.handleStream(methods.work, (stream) => {
      stream.onMessage(() => {
        stream.send({ type: 'ack', reports: ['ab'.repeat(32) as never], holders: [], wanted: 1 })
        stream.send({
          type: 'settled',
          jobId: 'cd'.repeat(32) as JobId,
          shard: 0,
          agreed: [1, 2, 3],
          disagreed: [4],
        })
        stream.end()
      })
    })
  })
  const leaf = nodes.leaf()
  await rejects(
    leaf.call(endpoint, methods.show, { jobId: 'ab'.repeat(32) as JobId, withShards: false }, { deadlineMs: 5_000 }),
    'notFound',
  )
  let ended = false
  const stream = leaf.open(endpoint, methods.work)
  stream.onMessage(() => {})
  stream.onClose(() => {
    ended = true
  })
  stream.send({ type: 'want', instances: 1 })
  stream.end()
  await eventually(() => ended, 10_000, 'the stream ends')
  let text = ''
  const closed = 'manyhands_streams_total{method="Coordinator/Work",side="server",code="ok"}'
  await eventually(
    async () => {
      text = await counted.scrape()
      return sampleOf(text, closed) === 1
    },
    10_000,
    'the stream is counted',
  )
  assert.is(sampleOf(text, 'manyhands_rpc_total{method="Jobs/Show",side="server",code="notFound"}'), 1)
  assert.is(sampleOf(text, 'manyhands_rpc_duration_seconds_count{method="Jobs/Show",side="server"}'), 1)
  assert.is(sampleOf(text, 'manyhands_streams_open{method="Coordinator/Work",side="server"}'), 0)
  assert.is(sampleOf(text, 'manyhands_work_messages_total{side="server",direction="received",type="want"}'), 1)
  assert.is(sampleOf(text, 'manyhands_work_messages_total{side="server",direction="sent",type="ack"}'), 1)
  assert.is(sampleOf(text, 'manyhands_reports_acknowledged_total{side="server"}'), 1)
  assert.is(sampleOf(text, 'manyhands_verdicts_total{side="server",verdict="agreed"}'), 3)
  assert.is(sampleOf(text, 'manyhands_verdicts_total{side="server",verdict="disagreed"}'), 1)
  assert.ok((sampleOf(text, 'manyhands_message_bytes_total{method="Jobs/Show",direction="received"}') ?? 0) >= 34)
  assert.not.match(text, /abababab|cdcdcdcd/)
})

metrics('a message of a type that this program does not have makes no label', async () => {
  const counted = prometheusMetrics()
  closers.push(() => counted.close())
  const work = methods.work.path
  counted.streamMessage(work, 'server', 'received', { type: 'x'.repeat(1_000) })
  counted.streamMessage(work, 'server', 'received', { type: 7 })
  counted.streamMessage('/manyhands.v1.Jobs/Watch', 'server', 'sent', { type: 'grant' })
  assert.not.match(await counted.scrape(), /manyhands_work_messages_total\{/)
})

metrics('the server answers GET /metrics and nothing else', async () => {
  let scrapes = 0
  const server = await serveMetrics(
    { host: '127.0.0.1', port: 0 },
    {
      contentType: 'text/plain; version=0.0.4',
      scrape: async () => {
        scrapes++
        return 'up 1\n'
      },
    },
    silentLogger,
  )
  closers.push(() => server.close())
  assert.equal(await get(server.port, '/metrics?x=1'), { status: 200, text: 'up 1\n' })
  assert.is((await get(server.port, '/')).status, 404)
  assert.is((await get(server.port, '/metrics', 'POST', 'x')).status, 405)
  assert.is(scrapes, 1)
  await rejects(
    serveMetrics({ host: '127.0.0.1', port: server.port }, { contentType: '', scrape: async () => '' }, silentLogger),
    'unavailable',
  )
})

metrics('a scrape that fails is a 500, and the next one is asked again', async () => {
  let scrapes = 0
  const server = await serveMetrics(
    { host: '127.0.0.1', port: 0 },
    {
      contentType: 'text/plain',
      scrape: async () => {
        if (++scrapes === 1) throw new Error('broken')
        return 'up 1\n'
      },
    },
    silentLogger,
  )
  closers.push(() => server.close())
  assert.is((await get(server.port, '/metrics')).status, 500)
  assert.is((await get(server.port, '/metrics')).status, 200)
})

metrics.run()
