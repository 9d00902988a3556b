import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { NodeProcess } from '../harness/node-process.ts'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { printOf, urlOf } from './graph.ts'

const MIGRATION = new URL('../../migrations/mysql/0025_items.up.sql', import.meta.url)

/**
 * The minimum that any engine must send for the same items, written by hand, in Piko's own table: claim items, insert those that follow,
 * end the claimed ones. It has no lanes, fences, counts, limits or retries, and no transaction around the last two steps.
 */
export default async function itemsBare(config: SystemConfig): Promise<Found> {
  const [pages, count, batch] = [Number(config['pages']), Number(config['nodes']), Number(config['batch'])]
  const connection = await createConnection({ uri: config.dsn, timezone: 'Z' })
  const table = /CREATE TABLE piko_item \([^;]*/.exec(readFileSync(MIGRATION, 'utf8'))?.[0] ?? ''
  await connection.query(table)
  const order = { dsn: config.dsn, batch, pages }
  const starting = Array.from({ length: count }, () =>
    NodeProcess.start(new URL('bare-node.ts', import.meta.url), order),
  )
  await using nodes = new AsyncDisposableStack()
  const started = (await Promise.all(starting)).map((node) => nodes.use(node))
  await connection.query(
    `INSERT INTO piko_item (fence, job_id, kind, lane_id, state, priority, due_at, depth, scope, print, item_key, created_at)
     VALUES (1, 'graph', 'page', 1, 'queued', 0, UTC_TIMESTAMP(3), 0, 1, ?, ?, UTC_TIMESTAMP(3))`,
    [printOf(urlOf(0)), urlOf(0)],
  )
  for (const node of started) node.tell('go')
  await Promise.all(started.map((node) => node.told('over')))
  const [[row]] = await connection.query<RowDataPacket[]>(
    `SELECT SUM(state = 'done') AS done, VERSION() AS version,
       TIMESTAMPDIFF(MICROSECOND, MIN(started_at), MAX(finished_at)) / 1000 AS ms FROM piko_item`,
  )
  await connection.end()
  if (Number(row?.['done']) !== pages) throw new Error(`${row?.['done']} of ${pages} items are done`)
  const { version } = createRequire(import.meta.url)('mysql2/package.json') as { version: string }
  return {
    about: { versions: { package: version, server: String(row?.['version']) }, settings: { batch } },
    values: { items: { value: (pages / Number(row?.['ms'])) * 1_000, unit: 'items/s' } },
    settings: { nodes: count, pages },
  }
}
