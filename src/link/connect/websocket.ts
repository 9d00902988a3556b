import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { optionalPackage } from '../../optional-package.ts'
import type { DialTls } from './dial-tls.ts'

/** The maximum of one WebSocket message. One write of a link is much smaller. */
const MAX_PAYLOAD = 4_194_304

function load(): Promise<typeof import('ws')> {
  return optionalPackage('ws', 'a link over WebSocket', () => import('ws'))
}

/** A WebSocket as a stream. It must exist before the socket is open, because otherwise the first message would be lost. */
export async function dialSocket(url: string, tls: DialTls): Promise<Duplex> {
  const { WebSocket, createWebSocketStream } = await load()
  const socket = new WebSocket(url, { ...tls, perMessageDeflate: false, maxPayload: MAX_PAYLOAD })
  return createWebSocketStream(socket)
}

/** Accepts WebSockets of an HTTP server. */
export async function acceptSockets(
  server: Server,
  path: string | undefined,
  accepted: (duplex: Duplex) => void,
): Promise<void> {
  const { WebSocketServer, createWebSocketStream } = await load()
  const sockets = new WebSocketServer({
    server,
    perMessageDeflate: false,
    maxPayload: MAX_PAYLOAD,
    ...(path !== undefined && { path }),
  })
  sockets.on('connection', (socket) => accepted(createWebSocketStream(socket)))
  // The server itself reports this error to its owner.
  sockets.on('error', () => {})
}
