import { z } from 'zod'
import { Resource } from '../../src/resource/resource.ts'
import { Sink } from '../../src/sink/sink.ts'

export interface Connection {
  query(sql: string): Promise<number>
}

export class Warehouse extends Resource<Connection> {
  async *acquire() {
    const connection: Connection = { query: async (sql) => sql.length }
    yield connection
  }
}

export class Token extends Resource<string> {
  async *acquire() {
    yield 'token'
  }
}

export class OrdersSink extends Sink {}

export class Order {
  readonly id: number = 0
  readonly shop: string = ''
}

export const Price = z.object({ symbol: z.string(), price: z.number(), at: z.coerce.date() })
