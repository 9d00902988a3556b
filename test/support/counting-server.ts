import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface, type Interface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cleanEnv } from './source-process.ts'

const SCRIPT = fileURLToPath(new URL('../fixtures/engine/counting-server.ts', import.meta.url))

/** A line that arrived. */
export interface Hit {
  /**
   * Arrived between these instants, in milliseconds since the epoch. A paused server reads a line later than it
   * arrived.
   */
  readonly since: number
  readonly at: number
  readonly text: string
}

/** A TCP server in its own process that reports when lines arrive. It outlives the nodes that write to it. */
export class CountingServer {
  readonly hits: Hit[] = []
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number, lines: Interface) {
    this.#child = child
    this.port = port
    lines.on('line', (line) => {
      const [since, at, ...text] = line.split(' ')
      this.hits.push({ since: Number(since), at: Number(at), text: text.join(' ') })
    })
  }

  static async start(): Promise<CountingServer> {
    const child = spawn(process.execPath, [SCRIPT], { env: cleanEnv(), stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = createInterface(child.stdout)
    const [port] = (await once(lines, 'line')) as [string]
    return new CountingServer(child, Number(port), lines)
  }

  /** Resolves when `hits` contains everything that has arrived by now. */
  async drain(): Promise<void> {
    // The second line is read in a later turn than all lines that arrived with the first.
    for (let count = 0; count < 2; count++) {
      const marker = `drained ${crypto.randomUUID()}`
      const socket = await connected(this.port)
      socket.end(`${marker}\n`)
      while (this.hits.at(-1)?.text !== marker) await sleep(20)
      this.hits.pop()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await ended
  }
}

/** Opens a connection to it that hands writes to the kernel immediately. */
export async function connected(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

/** The maximum number of hits that certainly lie within one span of this length. */
export function fullestSpan(hits: readonly Pick<Hit, 'since' | 'at'>[], perMs: number): number {
  const sorted = hits.toSorted((one, other) => one.at - other.at)
  let most = 0
  for (const [to, { at }] of sorted.entries()) {
    let from = to
    while (from > 0 && at - (sorted[from - 1] as Hit).since < perMs) from--
    most = Math.max(most, to - from + 1)
  }
  return most
}
