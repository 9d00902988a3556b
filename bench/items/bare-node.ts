// A process of the bare loop: its one connection claims items, inserts those that follow and ends the claimed ones, until no item is left.
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { linksOf, numberOf, printOf, urlOf } from './graph.ts'

const { dsn, batch, pages } = JSON.parse(process.argv[2] ?? '{}') as { dsn: string; batch: number; pages: number }
const NODE = crypto.randomUUID()
const connection = await createConnection({ uri: dsn, timezone: 'Z' })
await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED')
process.stdout.write('ready\n')
await once(createInterface({ input: process.stdin }), 'line')
for (;;) {
  const claimed = await claim()
  if (claimed.length > 0) await end(claimed)
  else if (await isOver()) break
  else await sleep(1)
}
process.stdout.write('over\n', () => process.exit())

async function claim(): Promise<RowDataPacket[]> {
  await connection.query('START TRANSACTION')
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT id, item_key FROM piko_item FORCE INDEX (item_lane)
     WHERE lane_id = 1 AND state = 'queued' AND due_at <= UTC_TIMESTAMP(3)
     ORDER BY priority, due_at, id LIMIT ${batch} FOR UPDATE SKIP LOCKED`,
  )
  if (rows.length > 0)
    await connection.query(
      `UPDATE piko_item SET state = 'running', node_id = ?, claims = claims + 1, started_at = UTC_TIMESTAMP(3) WHERE id IN (?)`,
      [NODE, rows.map(({ id }) => Number(id))],
    )
  await connection.query('COMMIT')
  return rows
}

async function end(claimed: readonly RowDataPacket[]): Promise<void> {
  const urls = claimed.flatMap(({ item_key }) => linksOf(numberOf(String(item_key)), pages).map(urlOf))
  const rows = urls.map((url) => [printOf(url), url] as const).sort(([one], [other]) => (one < other ? -1 : 1))
  if (rows.length > 0) {
    const values = rows.map(
      ([print, url]) =>
        `(1, 'graph', 'page', 1, 'queued', 0, UTC_TIMESTAMP(3), 1, 1, '${print}', '${url}', '"${url}"', UTC_TIMESTAMP(3))`,
    )
    await connection.query(
      `INSERT IGNORE INTO piko_item (fence, job_id, kind, lane_id, state, priority, due_at, depth, scope, print, item_key,
         data, created_at) VALUES ${values.join()}`,
    )
  }
  await connection.query(
    `UPDATE piko_item SET state = 'done', finished_at = UTC_TIMESTAMP(3) WHERE id IN (?) AND node_id = ?`,
    [claimed.map(({ id }) => Number(id)), NODE],
  )
}

async function isOver(): Promise<boolean> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT id FROM piko_item WHERE lane_id = 1 AND state IN ('queued', 'running') LIMIT 1`,
  )
  return rows.length === 0
}
