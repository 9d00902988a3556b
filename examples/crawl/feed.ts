import type { Server } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'
import { type SiteData, TICKETS, ticketsOf } from './data.ts'

/** The connection breaks once in each day, after this many tickets. */
const BREAK = TICKETS / 2

/** The tickets of each day at `/tickets/<day>`, one per message. A client sends `{"after":50}`, and gets the tickets after the first 50. */
export class TicketFeed {
  readonly #data: SiteData
  readonly #sockets: WebSocketServer
  readonly #broken = new Set<string>()
  readonly #asked = new Map<string, number[]>()

  constructor(data: SiteData, server: Server) {
    this.#data = data
    this.#sockets = new WebSocketServer({ server, perMessageDeflate: false })
    this.#sockets.on('connection', (client, request) => {
      const day = request.url?.split('/').at(-1) ?? ''
      client.on('error', () => {})
      client.once('message', (text: Buffer) => this.#serve(client, day, afterOf(text)))
    })
  }

  get asked(): ReadonlyMap<string, readonly number[]> {
    return this.#asked
  }

  #serve(client: WebSocket, day: string, after: number): void {
    this.#asked.set(day, [...(this.#asked.get(day) ?? []), after])
    const breaks = after < BREAK && !this.#broken.has(day)
    const tickets = ticketsOf(this.#data, day).slice(after, breaks ? BREAK : undefined)
    for (const ticket of tickets) client.send(JSON.stringify(ticket))
    if (!breaks) return client.close(1000)
    this.#broken.add(day)
    // After the last message has gone out.
    client.ping(undefined, undefined, () => client.terminate())
  }

  close(): void {
    for (const client of this.#sockets.clients) client.terminate()
    this.#sockets.close()
  }
}

function afterOf(text: Buffer): number {
  const { after } = JSON.parse(text.toString()) as { readonly after: number }
  return after
}
