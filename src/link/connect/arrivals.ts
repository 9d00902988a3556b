import type { Server, Socket } from 'node:net'
import type { HalfOpen, HalfOpenConnection } from './half-open.ts'

export interface ArrivalLimits {
  /** How long a connection may take to get ready, in milliseconds. */
  readonly ms: number
  /** The slots for connections that are not ready. */
  readonly halfOpen: HalfOpen<HalfOpenConnection>
  /** Called for each connection that was closed before it was ready. */
  readonly refused: () => void
}

/**
 * The connections of a TLS or WebSocket server that are not ready for the link: their TLS handshake or their upgrade has not finished.
 * Without this class, connections that never finish either of them would stay open forever.
 */
export class Arrivals {
  readonly #limits: ArrivalLimits
  readonly #waiting = new Map<string, HalfOpenConnection>()

  constructor(server: Server, limits: ArrivalLimits) {
    this.#limits = limits
    server.on('connection', (socket: Socket) => this.#arrived(socket))
  }

  /** Removes a connection that is ready. @param socket the TCP socket, or the TLS socket over it */
  ready(socket: Socket): void {
    const name = nameOf(socket)
    const arrival = this.#waiting.get(name)
    if (!arrival) return
    this.#waiting.delete(name)
    this.#limits.halfOpen.delete(arrival)
  }

  #arrived(socket: Socket): void {
    const { halfOpen, ms, refused } = this.#limits
    const name = nameOf(socket)
    const arrival = { address: socket.remoteAddress, close: () => void socket.destroy() }
    this.#waiting.set(name, arrival)
    const isWaiting = (): boolean => this.#waiting.get(name) === arrival
    const late = setTimeout(() => isWaiting() && socket.destroy(), ms)
    socket.once('close', () => {
      clearTimeout(late)
      if (!isWaiting()) return
      this.#waiting.delete(name)
      halfOpen.delete(arrival)
      refused()
    })
    halfOpen.add(arrival)
  }
}

/** Returns a name for a connection. Node does not expose the TCP socket of a TLS socket, but both have the same remote address and port. */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
