import type { Server, Socket } from 'node:net'

export interface ArrivalLimits {
  /** How long a connection may take. */
  readonly ms: number
  /** Whether one more connection is accepted. */
  readonly hasRoom: (waiting: number) => boolean
  /** Called for each connection that was refused, or closed before it was ready. */
  readonly refused: () => void
}

/**
 * The connections of a TLS or WebSocket server that are not ready for the link: their TLS handshake or their upgrade has not finished.
 * Without this, connections that never finish it would stay open forever.
 */
export class Arrivals {
  readonly #limits: ArrivalLimits
  readonly #waiting = new Map<string, Socket>()

  constructor(server: Server, limits: ArrivalLimits) {
    this.#limits = limits
    server.on('connection', (socket: Socket) => this.#arrived(socket))
  }

  /** Removes a connection that is ready. @param socket the TCP socket, or the TLS socket over it */
  ready(socket: Socket): void {
    this.#waiting.delete(nameOf(socket))
  }

  /** Closes all connections that are not ready. */
  close(): void {
    for (const socket of this.#waiting.values()) socket.destroy()
  }

  #arrived(socket: Socket): void {
    if (!this.#limits.hasRoom(this.#waiting.size)) {
      socket.destroy()
      return this.#limits.refused()
    }
    const name = nameOf(socket)
    this.#waiting.set(name, socket)
    const isWaiting = (): boolean => this.#waiting.get(name) === socket
    const late = setTimeout(() => isWaiting() && socket.destroy(), this.#limits.ms)
    socket.once('close', () => {
      clearTimeout(late)
      if (!isWaiting()) return
      this.#waiting.delete(name)
      this.#limits.refused()
    })
  }
}

/** Names a connection. Node does not say which TCP socket a TLS socket belongs to, but both have the same address at the other end. */
function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
