import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { describe, PikoError } from '../errors.ts'

/** Takes over the connection of a client that asks for a WebSocket. */
export type AcceptUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

const ofServers = new WeakMap<Server, Upgrades>()

/**
 * Passes the upgrade requests of an HTTP server to the WebSockets on it, by path. As soon as a server has a listener for upgrades, Node
 * leaves every request with the header `upgrade` to it. If no listener answers such a request, its connection stays open forever.
 */
export class Upgrades {
  readonly #server: Server
  readonly #byPath = new Map<string, AcceptUpgrade>()

  private constructor(server: Server) {
    this.#server = server
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#upgrade(request, socket, head),
    )
    // Newer versions of Node ask this function about each request with the header `upgrade`. If it returns false, the request is answered
    // as if it had no such header. This is necessary because clients may always offer another protocol, such as h2c.
    if ('shouldUpgradeCallback' in server)
      server.shouldUpgradeCallback = (request: IncomingMessage) => this.#others > 0 || this.#find(request) !== undefined
  }

  static of(server: Server): Upgrades {
    const upgrades = ofServers.get(server) ?? new Upgrades(server)
    ofServers.set(server, upgrades)
    return upgrades
  }

  /**
   * Adds the WebSockets of a path.
   *
   * @returns a function that removes them
   * @throws PikoError `USAGE` if the path is taken
   */
  add(path: string, accept: AcceptUpgrade): () => void {
    if (this.#byPath.has(path))
      throw new PikoError('USAGE', `the server has WebSockets at ${describe(path)} already; use another path`)
    this.#byPath.set(path, accept)
    return () => void this.#byPath.delete(path)
  }

  /** How many listeners others have added. They may answer requests for which no WebSocket was added here. */
  get #others(): number {
    return this.#server.listenerCount('upgrade') - 1
  }

  #find({ url = '', headers }: IncomingMessage): AcceptUpgrade | undefined {
    const isWebSocket = headers.upgrade?.toLowerCase() === 'websocket'
    return isWebSocket ? this.#byPath.get(url.split('?', 1)[0] ?? '') : undefined
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const accept = this.#find(request)
    if (accept) return accept(request, socket, head)
    if (this.#others === 0) refuse(socket, '404 Not Found')
  }
}

/** Answers an upgrade request with an error, and closes its connection. */
export function refuse(socket: Duplex, status: string): void {
  socket.on('error', () => {})
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy())
}
