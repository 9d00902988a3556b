import { type RawBuilder, sql } from 'kysely'
import type { Database } from '../connection/database.ts'
import type { LastDay } from './last-day.ts'
import { exactId } from '../values/exact-key.ts'
import { OPEN_WINDOWS } from '../windows/window-lag.ts'

/** Counts by job and subject, such as `sync_orders queued`. */
export type Counts = Map<string, number>

export const BEGUN = ['running', 'succeeded', 'failed', 'cancelled', 'skipped'] as const

const RUNS = sql`piko_run r FORCE INDEX (run_job)`
const WINDOWS = sql`piko_window r FORCE INDEX (window_state)`

/** Selects the id at a place of the index (job_id, state, id), where 0 is the newest; null if there are fewer entries. */
function nthNewest(state: string, place: number): RawBuilder<number | null> {
  return sql`(SELECT r.id FROM ${RUNS} WHERE r.job_id = j.id AND r.state = ${sql.lit(state)} ORDER BY r.id DESC LIMIT ${sql.lit(place)}, 1)`
}

/**
 * Selects the number of a job's rows in a state, or `most` + 1 if there are more than `most`. Checks first whether there are more, because
 * a count of a limited subquery would need a temporary table for each job.
 */
function countOf(from: RawBuilder<unknown>, state: string, most: number): RawBuilder<number> {
  const rows = sql`FROM ${from} WHERE r.job_id = j.id AND r.state = ${sql.lit(state)}`
  return sql`CASE WHEN (SELECT 1 ${rows} LIMIT ${sql.lit(most)}, 1) IS NULL THEN (SELECT count(*) ${rows}) ELSE ${sql.lit(most + 1)} END`
}

const among = (jobIds: readonly string[]): RawBuilder<unknown> => sql`(${sql.join(jobIds.map(exactId))})`

/** Counts the queued and running runs and the open windows of each job, each only up to a limit. */
export async function countsOnMysql({ db }: Database, jobIds: readonly string[], most: number): Promise<Counts> {
  const open = sql.join(
    OPEN_WINDOWS.map((state) => countOf(WINDOWS, state, most)),
    sql` + `,
  )
  const { rows } = await sql<{ id: string; queued: number; running: number; open: number | null }>`
    SELECT j.id, ${countOf(RUNS, 'queued', most)} AS queued, ${countOf(RUNS, 'running', most)} AS running,
      CASE WHEN j.windows IS NULL THEN 0 ELSE ${open} END AS open
    FROM piko_job j WHERE j.id IN ${among(jobIds)}
  `.execute(db)
  return new Map(
    rows.flatMap(({ id, queued, running, open: windows }): [string, number][] => [
      [`${id} queued`, Number(queued)],
      [`${id} running`, Number(running)],
      [`${id} open`, Number(windows)],
    ]),
  )
}

/** Returns the number of each job's failed runs of the last day, or `most` + 1 if there are more than `most`. */
export async function failuresOnMysql(
  { db }: Database,
  jobIds: readonly string[],
  { since, end }: LastDay,
  most: number,
): Promise<Counts> {
  const found: Counts = new Map()
  let few = jobIds
  // If the day had few runs, all failures can be counted. Otherwise, this first finds the jobs with more than `most` failures, which are
  // not counted.
  if (end - since > most * jobIds.length) {
    const { rows } = await sql<{ id: string; last: number | null }>`
      SELECT j.id, ${nthNewest('failed', most)} AS last FROM piko_job j WHERE j.id IN ${among(jobIds)}
    `.execute(db)
    const many = new Set(rows.flatMap(({ id, last }) => (last !== null && last >= since ? [id] : [])))
    for (const id of many) found.set(`${id} failed`, most + 1)
    few = jobIds.filter((id) => !many.has(id))
  }
  if (few.length === 0) return found
  const { rows } = await sql<{ job_id: string; found: number }>`
    SELECT job_id, count(*) AS found FROM piko_run FORCE INDEX (run_job)
    WHERE job_id IN ${among(few)} AND state = 'failed' AND id >= ${sql.lit(since)} GROUP BY job_id
  `.execute(db)
  for (const row of rows) found.set(`${row.job_id} failed`, Number(row.found))
  return found
}

/**
 * Selects, for each job, the newest runs that have begun: at least `runs`, if the job has that many, and at most this number in each state.
 */
export async function newestOnMysql(
  { db }: Database,
  jobIds: readonly string[],
  runs: number,
): Promise<RawBuilder<unknown> | undefined> {
  if (runs === 0) return undefined
  // If a state has at least `runs` runs, its `runs`-th newest run is a bound: no older run of any state can be shown.
  const bounds = BEGUN.map((state) => sql`coalesce(${nthNewest(state, runs - 1)}, 0)`)
  const { rows } = await sql<{ id: string; bound: number }>`
    SELECT j.id, GREATEST(${sql.join(bounds)}) AS bound FROM piko_job j WHERE j.id IN ${among(jobIds)}
  `.execute(db)
  if (rows.length === 0) return undefined
  const states = sql.join(BEGUN.map((state) => sql.lit(state)))
  return sql.join(
    rows.map(({ id, bound }) => sql`(job_id = ${id} AND state IN (${states}) AND id >= ${sql.lit(Number(bound))})`),
    sql` OR `,
  )
}
