import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { optionalPackage } from '../../optional-package.ts'
import type { DialTls } from './dial-tls.ts'

/** The maximum size of a WebSocket message. A link's writes are much smaller. */
const MAX_PAYLOAD = 4_194_304

function load(): Promise<typeof import('ws')> {
  return optionalPackage('ws', 'a link over WebSocket', () => import('ws'))
}

/** Opens a WebSocket as a stream. The stream is created before the socket is open; otherwise the first message would be lost. */
export async function dialSocket(url: string, tls: DialTls): Promise<Duplex> {
  const { WebSocket, createWebSocketStream } = await load()
  const socket = new WebSocket(url, { ...tls, perMessageDeflate: false, maxPayload: MAX_PAYLOAD })
  return createWebSocketStream(socket)
}

/** Accepts WebSockets of an HTTP server. @param accepted called with the stream of each WebSocket, and the TCP or TLS socket under it */
export async function acceptSockets(
  server: Server,
  path: string | undefined,
  accepted: (duplex: Duplex, socket: Socket) => void,
): Promise<void> {
  const { WebSocketServer, createWebSocketStream } = await load()
  const sockets = new WebSocketServer({
    server,
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD,
    ...(path !== undefined && { path }),
  })
  sockets.on('connection', (socket, request) => accepted(createWebSocketStream(socket), request.socket))
  // The server itself reports this error to its owner.
  sockets.on('error', () => {})
}
