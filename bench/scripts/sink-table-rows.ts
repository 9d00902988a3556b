import { sqlTable } from 'piko'
import { z } from 'zod'

export const Order = z.object({
  id: z.int(),
  shop: z.string().max(40),
  total: z.number(),
  placedAt: z.date(),
  note: z.string().nullable(),
})
export type Order = z.infer<typeof Order>

export const PAGE = 1_000
/** The number of rows of one transaction. Large, because each transaction costs some round trips and a write to disk. */
export const BATCH = 50_000
export const WINDOW = { start: new Date('2026-01-01T00:00:00Z'), end: new Date('2026-01-02T00:00:00Z') }

export type Bulk = 'insert' | 'load'

export function tableOf(bulk: Bulk) {
  return sqlTable({ name: 'bench_order', model: Order, key: ['id'], fenceColumn: 'fence', bulk })
}

/** A page of rows of about 100 bytes, made from their numbers. */
export function pageOf(from: number): Order[] {
  return Array.from({ length: PAGE }, (_, index) => {
    const id = from + index
    return {
      id,
      shop: `shop ${id % 977} of Berlin`,
      total: (id % 100_000) / 100,
      placedAt: new Date(WINDOW.start.getTime() + (id % 86_400_000)),
      note: id % 3 === 0 ? null : `it's order "${id}"`,
    }
  })
}
