import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type LookupFunction, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { addressOf, isPublicAddress } from './public-address.ts'

/**
 * A proxy on loopback that connects only to public addresses. It is for clients that would resolve names themselves, such as a browser. The
 * proxy connects to exactly the address that it has checked.
 */
export class GuardProxy {
  readonly url: string
  readonly #server: Server
  readonly #lookup: LookupFunction
  readonly #sockets = new Set<Duplex>()

  private constructor(server: Server, lookup: LookupFunction) {
    this.#server = server
    this.#lookup = lookup
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('connect', (wanted, socket, head) => this.#tunnel(wanted, socket, head))
    server.on('request', (wanted, answer) => this.#forward(wanted, answer))
    server.on('connection', (socket) => this.#follow(socket))
  }

  /** Opens a proxy on a free port. @param lookup returns only public addresses */
  static async open(lookup: LookupFunction): Promise<GuardProxy> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    server.unref()
    return new GuardProxy(server, lookup)
  }

  #tunnel({ url = '' }: IncomingMessage, client: Duplex, head: Buffer): void {
    client.on('error', () => client.destroy())
    const target = URL.parse(`http://${url}`)
    if (!target || !isAllowed(target)) return void client.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    const port = Number(target.port || 80)
    const socket: Socket = connect({ host: hostOf(target), port, lookup: this.#lookup })
    this.#follow(socket)
    socket.once('connect', () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      if (head.byteLength > 0) socket.write(head)
      client.pipe(socket).pipe(client)
    })
    socket.on('error', () => client.destroy())
    client.once('close', () => socket.destroy())
  }

  #forward(wanted: IncomingMessage, answer: ServerResponse): void {
    const target = URL.parse(wanted.url ?? '')
    if (target?.protocol !== 'http:' || !isAllowed(target)) return void answer.writeHead(403).end()
    const { 'proxy-connection': _own, ...headers } = wanted.headers
    const { method } = wanted
    const end = (): void => void answer.destroy()
    answer.on('error', end)
    wanted.on('error', end)
    try {
      // Without an agent, each request opens its own connection, whose address the lookup has checked. An agent might reuse a connection
      // that was opened without this check.
      const options = { ...(method !== undefined && { method }), headers, lookup: this.#lookup, agent: false as const }
      const onward = request(target, options)
      onward.on('response', (reply) => {
        reply.on('error', end)
        pass(reply, answer)
      })
      onward.on('error', end)
      // Without this listener, a response that switches the protocol would leave its socket open.
      onward.on('upgrade', end)
      answer.once('close', () => onward.destroy())
      wanted.pipe(onward)
    } catch {
      // Node throws here if it refuses to send some of the headers.
      end()
    }
  }

  #follow(socket: Duplex): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  /** Ends all connections. */
  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** Forwards a response. A server may send a status or headers that Node refuses to send again. */
function pass(reply: IncomingMessage, answer: ServerResponse): void {
  try {
    const { statusCode: status = 0 } = reply
    if (status < 200 || status > 999) return void answer.writeHead(502).end()
    answer.writeHead(status, reply.rawHeaders)
    reply.pipe(answer)
  } catch {
    answer.destroy()
  }
}

/** Whether a host may be contacted. A name is checked by the lookup; an IP address is checked here, because it is not looked up. */
function isAllowed(target: URL): boolean {
  const address = addressOf(target)
  return address === undefined || isPublicAddress(address)
}

function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
}
