import type { Piko } from 'piko'

/** When the items of a database ran, by the database's own clock. */
export interface Span {
  readonly done: number
  /** Items that were tried again, or did not end as done. */
  readonly failed: number
  /** From the first claim to the last outcome. */
  readonly ms: number
}

/** @param since leaves out items that were claimed earlier */
export async function spanOf(app: Piko, since = 0): Promise<Span> {
  const [row] = await app.sql.query<{ done: unknown; failed: unknown; first: unknown; last: unknown }>(
    `SELECT SUM(state = 'done') AS done, SUM(state <> 'done' OR tries IS NOT NULL) AS failed, MIN(started_at) AS first,
       MAX(finished_at) AS last
     FROM piko_item WHERE id > ?`,
    [since],
  )
  return { done: Number(row?.done), failed: Number(row?.failed), ms: msOf(row?.last) - msOf(row?.first) }
}

/** SQLite returns ISO text, MySQL text or a Date; both are in UTC. */
function msOf(value: unknown): number {
  if (value instanceof Date) return value.getTime()
  const text = String(value).replace(' ', 'T')
  return Date.parse(text.endsWith('Z') ? text : `${text}Z`)
}
