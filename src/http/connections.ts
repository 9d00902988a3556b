import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** The connections of a server, and whether each has a request in progress. */
export class Connections {
  readonly #requests = new Map<Socket, number>()

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      this.#requests.set(socket, 0)
      socket.once('close', () => this.#requests.delete(socket))
    })
    server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
      this.#add(socket, 1)
      response.once('close', () => this.#add(socket, -1))
    })
  }

  /** Returns the number of open connections. */
  connections(): number {
    return this.#requests.size
  }

  /** Returns the number of requests in progress. */
  requests(): number {
    return [...this.#requests.values()].reduce((sum, requests) => sum + requests, 0)
  }

  /** Ends connections that are only waiting for their client: those without a request, or with an incomplete one. */
  endIdle(): void {
    for (const [socket, requests] of this.#requests) if (requests === 0) socket.destroy()
  }

  endAll(): void {
    for (const socket of this.#requests.keys()) socket.destroy()
  }

  #add(socket: Socket, change: number): void {
    const requests = this.#requests.get(socket)
    if (requests !== undefined) this.#requests.set(socket, requests + change)
  }
}
