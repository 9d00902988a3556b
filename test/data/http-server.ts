import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => unknown

/** A real HTTP server on loopback that counts its requests and connections. */
export class HttpServer {
  readonly origin: string
  readonly requests: { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers'] }[] =
    []
  connections = 0
  mostConnections = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
    this.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** @param handler gets the number of the request, from 1 */
  static async start(handler: Handler): Promise<HttpServer> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const made = new HttpServer(server)
    server.on('request', (request, response) => {
      const { method = '', url = '', headers } = request
      made.requests.push({ method, url, headers })
      handler(request, response, made.requests.length)
    })
    server.on('connection', (socket) => made.#count(socket))
    onTestFinished(() => made.close())
    return made
  }

  #count(socket: Socket): void {
    this.#sockets.add(socket)
    this.mostConnections = Math.max(this.mostConnections, ++this.connections)
    socket.on('close', () => {
      this.connections -= 1
      this.#sockets.delete(socket)
    })
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    if (this.#server.listening) await once(this.#server, 'close')
  }
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const piece of request) text += String(piece)
  return text
}
