import { Readable } from 'node:stream'
import { createConnection } from 'mysql2/promise'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { type Bulk, type Order, PAGE, pageOf, tableOf, WINDOW } from './sink-table-rows.ts'

const FENCE = 65_537

/** The same rows without checks, buffers, fences and transactions: one INSERT for each page, or one LOAD DATA for all. */
export default async function sinkTableBare(config: SystemConfig): Promise<Found> {
  const rows = Number(config['runs'])
  const bulk = String(config['bulk']) as Bulk
  const connection = await createConnection({ uri: config.dsn, timezone: 'Z' })
  for (const statement of tableOf(bulk).ddl()) await connection.query(statement)
  const began = performance.now()
  const cpu = process.cpuUsage()
  if (bulk === 'insert') {
    for (let from = 0; from < rows; from += PAGE) {
      const values = pageOf(from).map(({ id, shop, total, placedAt, note }) => [
        ...[WINDOW.start, FENCE, id, shop, total, placedAt, note],
      ])
      await connection.query(
        'INSERT INTO bench_order (window_start, fence, id, shop, total, placedAt, note) VALUES ?',
        [values],
      )
    }
  } else {
    await connection.query({
      sql: String.raw`LOAD DATA LOCAL INFILE 'rows' INTO TABLE bench_order CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' (id, shop, total, placedAt, note, window_start, fence)`,
      infileStreamFactory: () => Readable.from(pages(rows)),
    })
  }
  const tookMs = performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  await connection.end()
  return {
    about: { versions: {}, settings: {} },
    values: {
      written: { value: (rows / tookMs) * 1_000, unit: 'rows/s' },
      'CPU of the client': { value: (user + system) / 1_000_000, unit: 's' },
      'peak RSS': { value: process.resourceUsage().maxRSS / 1_024, unit: 'MB' },
    },
    settings: { rows, bulk },
  }
}

function* pages(rows: number): Generator<Buffer> {
  for (let from = 0; from < rows; from += PAGE) yield Buffer.from(pageOf(from).map(lineOf).join(''))
}

/** The texts of these rows need no escapes. */
function lineOf({ id, shop, total, placedAt, note }: Order): string {
  return `${id}\t${shop}\t${total}\t${timeOf(placedAt)}\t${note ?? '\\N'}\t2026-01-01 00:00:00.000\t${FENCE}\n`
}

function timeOf(date: Date): string {
  return date.toISOString().replace('T', ' ').slice(0, -1)
}
