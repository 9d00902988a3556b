import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface SentRow {
  readonly id: number
  readonly customer: number
}

/** A server that stores batches of rows once per key, and can be down. */
export class OrderTarget {
  /** Ids of the rows in the order in which they were stored, by customer. */
  readonly customers = new Map<number, number[]>()
  /** Keys of batches, with the number of times that they came. */
  readonly keys = new Map<string, number>()
  rows = 0
  /** Refuses rows like a server that checks them. */
  refuses: (row: SentRow) => boolean = () => false
  #server: Server | undefined
  #port = 0

  get url(): string {
    return `http://127.0.0.1:${this.#port}/orders`
  }

  async up(): Promise<void> {
    const server = createServer((request, response) => void this.#answer(request, response))
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (server.address() as AddressInfo).port
  }

  /** Refuses connections, and breaks those that exist. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    server?.closeAllConnections()
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)))
  }

  /** Customers whose rows did not come in the order of their ids, or of which one came twice. */
  get disordered(): number[] {
    return [...this.customers].flatMap(([customer, ids]) =>
      ids.some((id, index) => index > 0 && id <= (ids[index - 1] ?? 0)) ? [customer] : [],
    )
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const rows = JSON.parse(await text(request)) as SentRow[]
      const key = String(request.headers['idempotency-key'])
      if (rows.some(this.refuses)) {
        response.writeHead(422).end()
        return
      }
      const times = this.keys.get(key) ?? 0
      this.keys.set(key, times + 1)
      if (times === 0) this.#store(rows)
      response.writeHead(204).end()
    } catch {
      response.destroy()
    }
  }

  #store(rows: readonly SentRow[]): void {
    this.rows += rows.length
    for (const { id, customer } of rows) {
      const ids = this.customers.get(customer)
      if (ids) ids.push(id)
      else this.customers.set(customer, [id])
    }
  }
}
