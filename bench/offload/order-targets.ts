import { join } from 'node:path'
import { defineSink, sqlTable, type SinkClass } from 'piko'
import { jsonLines } from 'piko/data'
import { z } from 'zod'

/** Where the rows go: a table of the process's SQLite file, one of MariaDB, or a file of JSON lines. */
export type Target = 'sqlite' | 'mysql' | 'jsonl'

const Order = z.object({
  id: z.number(),
  shop: z.string(),
  at: z.string(),
  product: z.string(),
  amount: z.number(),
  note: z.string(),
})

const columns = ['id', 'shop', 'at', 'product', 'amount', 'note'] as const
const table = sqlTable<z.infer<typeof Order>>({ name: 'orders', columns, windowColumn: null })
const DDL =
  'CREATE TABLE orders (id BIGINT PRIMARY KEY, shop VARCHAR(20), at VARCHAR(30), product VARCHAR(40), amount DOUBLE, note VARCHAR(200))'

/** @param store the folder of the process, or the DSN of its database */
export function ordersSink(
  target: Target,
  store: string,
): { readonly Orders: SinkClass; readonly Order: typeof Order } {
  if (target === 'jsonl')
    return { Order, Orders: jsonLines({ model: Order, path: join(store, 'out/{job}/{run}.jsonl') }) }
  const Orders = defineSink({
    name: 'orders',
    open: ({ sql }) => sql.exec(DDL),
    on: [[Order, (orders, batch) => table.upsert(batch, orders, ['id'])]],
  })
  return { Order, Orders }
}

export function storeOf(target: Target, store: string) {
  return target === 'mysql' ? { mysql: { dsn: store } } : { sqlite: { path: join(store, 'piko.db') } }
}
