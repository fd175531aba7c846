import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { EngineAnswer, Row } from './compute.js'

/** Time a browser has to start and compute everything. Unit: ms. */
const LIMIT_MS = 300_000
/** Bytes of the answer that a page posts. */
const BODY_BYTES_MAX = 2 ** 20

/** The compiled tree that this file is in: what the page may load. */
const compiled = fileURLToPath(new URL('../../', import.meta.url))
const workerPath = `/code/${relative(compiled, fileURLToPath(new URL('./browser-worker.js', import.meta.url)))}`

type Kind = 'chromium' | 'firefox'

const ARGUMENTS: Readonly<Record<Kind, (profile: string) => readonly string[]>> = {
  chromium: (profile) => [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    `--user-data-dir=${profile}`,
    // Without it the browser takes one screenshot and leaves before the worker is done.
    '--remote-debugging-port=0',
  ],
  firefox: (profile) => ['--headless', '--no-remote', '--profile', profile],
}

/** Computes the corpus in a headless browser: serves the compiled code and the programs on loopback and waits for the answer. */
export async function computeInBrowser(kind: Kind, command: string, programs: string): Promise<EngineAnswer> {
  const profile = mkdtempSync(join(tmpdir(), `manyhands-${kind}-`))
  let child: ChildProcess | undefined
  let timer: NodeJS.Timeout | undefined
  const server = createServer()
  try {
    return await new Promise<EngineAnswer>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${kind} gave no answer in ${LIMIT_MS / 1000} s`)), LIMIT_MS)
      serve(server, programs, resolve, reject)
      server.listen(0, '127.0.0.1', () => {
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
        child = spawn(command, [...ARGUMENTS[kind](profile), url], {
          stdio: 'ignore',
          // A group of its own: browsers are many processes.
          detached: true,
          env: { ...process.env, HOME: profile },
        })
        child.once('error', reject)
        child.once('exit', (code) => reject(new Error(`${kind} ended with ${code} before it answered`)))
      })
    })
  } finally {
    clearTimeout(timer)
    server.close()
    server.closeAllConnections()
    await stop(child)
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

function serve(
  server: Server,
  programs: string,
  onAnswer: (answer: EngineAnswer) => void,
  onFailure: (error: Error) => void,
): void {
  server.on('request', async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    try {
      if (request.method === 'POST') {
        const body = await bodyOf(request)
        response.end()
        if (path === '/answer')
          onAnswer({ engine: request.headers['user-agent'] ?? '', rows: JSON.parse(body) as Row[] })
        else onFailure(new Error(body))
      } else if (path === '/') {
        response.setHeader('content-type', 'text/html')
        response.end(
          `<script>new Worker('${workerPath}', { type: 'module' }).onerror = (event) => fetch('/failure', { method: 'POST', body: 'the worker did not load: ' + event.message })</script>`,
        )
      } else if (path.startsWith('/wasm/')) {
        response.end(await readFile(join(programs, basename(path))))
      } else if (path.startsWith('/code/') && path.endsWith('.js')) {
        response.setHeader('content-type', 'text/javascript')
        response.end(await readFile(join(compiled, path.slice('/code/'.length))))
      } else {
        response.writeHead(404).end()
      }
    } catch {
      response.writeHead(404).end()
    }
  })
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

async function stop(child: ChildProcess | undefined): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.removeAllListeners('error')
  process.kill(-child.pid, 'SIGKILL')
  await ended
}
