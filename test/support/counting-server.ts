import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { cleanEnv } from './source-process.ts'

const SCRIPT = fileURLToPath(new URL('../fixtures/engine/counting-server.ts', import.meta.url))

/** Something that arrived. */
export interface Hit {
  /** Milliseconds since the epoch, with fractions, on the server's clock. */
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
      const space = line.indexOf(' ')
      this.hits.push({ at: Number(line.slice(0, space)), text: line.slice(space + 1) })
    })
  }

  static async start(): Promise<CountingServer> {
    const child = spawn(process.execPath, [SCRIPT], { env: cleanEnv(), stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = createInterface(child.stdout)
    const [port] = (await once(lines, 'line')) as [string]
    return new CountingServer(child, Number(port), lines)
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

/** The most of these instants that lie within one span of this length. */
export function fullestSpan(times: readonly number[], perMs: number): number {
  const sorted = Float64Array.from(times).sort()
  let most = 0
  let from = 0
  for (let to = 0; to < sorted.length; to++) {
    while ((sorted[to] as number) - (sorted[from] as number) >= perMs) from++
    most = Math.max(most, to - from + 1)
  }
  return most
}
