import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Commands of the MySQL protocol that are statements: COM_QUERY and COM_STMT_EXECUTE. */
const STATEMENTS = new Set([0x03, 0x17])
const HEADER_BYTES = 4

/** A proxy that counts the statements to a MySQL server: only those of one app, even if others use the server. */
export class StatementCounter implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  count = 0

  /** @returns the proxy, and the DSN that connects through it */
  static async start(dsn: string): Promise<{ counter: StatementCounter; dsn: string }> {
    const url = new URL(dsn)
    const counter = new StatementCounter({ host: url.hostname, port: Number(url.port || 3306) })
    counter.#server.listen(0, '127.0.0.1')
    await once(counter.#server, 'listening')
    url.hostname = '127.0.0.1'
    url.port = String((counter.#server.address() as AddressInfo).port)
    return { counter, dsn: url.href }
  }

  private constructor(target: { host: string; port: number }) {
    this.#server = createServer((client) => {
      const upstream = connect(target)
      const packets = new Packets((command) => {
        if (STATEMENTS.has(command)) this.count += 1
      })
      client.on('data', (bytes) => packets.read(bytes))
      for (const [socket, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(socket)
        socket.pipe(other)
        socket.on('error', () => other.destroy())
        socket.once('close', () => this.#sockets.delete(socket))
      }
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }
}

/**
 * Finds the first byte of each first packet of a command. A header has three bytes of length and one of sequence, which
 * is 0 there.
 */
class Packets {
  readonly #onCommand: (command: number) => void
  #header: number[] = []
  #left = 0

  constructor(onCommand: (command: number) => void) {
    this.#onCommand = onCommand
  }

  read(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, bytes.length - at)
        this.#left -= taken
        at += taken
        continue
      }
      this.#header.push(bytes[at++]!)
      const [low = 0, middle = 0, high = 0, sequence, command] = this.#header
      const length = low + middle * 2 ** 8 + high * 2 ** 16
      if (this.#header.length === HEADER_BYTES && length > 0) continue
      if (this.#header.length < HEADER_BYTES) continue
      if (sequence === 0 && command !== undefined) this.#onCommand(command)
      this.#left = Math.max(0, length - 1)
      this.#header = []
    }
  }
}
