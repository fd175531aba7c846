import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'

/** What the metrics server may cost. A scraper asks every few seconds, over one connection. */
const CONNECTIONS_MAX = 16
const REQUEST_MS = 5_000
const KEEP_ALIVE_MS = 30_000
const HEADER_BYTES_MAX = 8 * 1024

/** What it serves. */
interface Scraped {
  readonly contentType: string
  scrape(): Promise<string>
}

/** A server of metrics that listens. */
export interface MetricsServer {
  readonly port: number
  /** Drops every connection. Safe to call twice. */
  close(): Promise<void>
}

/**
 * Serves `GET /metrics` over plain HTTP, nothing else, to whoever reaches the address: one scrape at a time, a later one waits for
 * the same answer. Rejects with GridError `unavailable` when the address cannot be listened on.
 */
export async function serveMetrics(
  at: { readonly host: string; readonly port: number },
  scraped: Scraped,
  logger: Logger,
): Promise<MetricsServer> {
  let current: Promise<string> | undefined
  const scrape = () => {
    current ??= scraped.scrape().finally(() => {
      current = undefined
    })
    return current
  }
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      requestTimeout: REQUEST_MS,
      headersTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    (request, response) => {
      const path = (request.url ?? '').split('?')[0]
      const refusal =
        path !== '/metrics' ? 404 : request.method !== 'GET' && request.method !== 'HEAD' ? 405 : undefined
      // A body is read over, for as long as a request may take.
      request.resume()
      if (refusal !== undefined) {
        response.writeHead(refusal, { connection: 'close', 'content-type': 'text/plain' })
        response.end('metrics are at GET /metrics\n')
        return
      }
      scrape().then(
        (text) => {
          response.writeHead(200, { 'content-type': scraped.contentType, 'cache-control': 'no-store' })
          response.end(text)
        },
        (error: unknown) => {
          logger.warn('metrics not collected', { error })
          response.writeHead(500, { connection: 'close' })
          response.end()
        },
      )
    },
  )
  server.maxConnections = CONNECTIONS_MAX
  server.on('clientError', (_, socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      reject(
        new GridError('unavailable', `metrics cannot be served at ${at.host}:${at.port} (${cause.code ?? 'unknown'})`, {
          cause,
          hint:
            cause.code === 'EADDRINUSE' || cause.code === 'EACCES'
              ? 'name another port: --metrics PORT'
              : 'name an address of this machine: --metrics HOST:PORT',
        }),
      )
    })
    server.listen(at.port, at.host, resolve)
  })
  server.on('error', (error) => logger.warn('metrics server', { error }))
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
