import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface, type Interface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cleanEnv } from './source-process.ts'

const SCRIPT = fileURLToPath(new URL('../fixtures/engine/counting-server.ts', import.meta.url))

/** Something that arrived. */
export interface Hit {
  /** Between these instants, in milliseconds since the epoch: a server that was set aside reads later than the line arrived. */
  readonly since: number
  readonly at: number
  readonly text: string
}

/** A TCP server in a process of its own, which says when lines arrive. It outlives the nodes that write to it. */
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

  /** Resolves when everything is in `hits` that had arrived by now. */
  async drain(): Promise<void> {
    // The second one is read in a later turn than all that was there with the first.
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

/** An open connection to it, whose writes are handed to the kernel at once. */
export async function connected(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

/** The most of these that lie within one span of this length for certain. */
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
