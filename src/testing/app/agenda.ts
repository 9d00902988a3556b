import type { SqlDatabase } from '../../sql/sql.ts'
import { instantOf } from '../../time/instant.ts'

/** If there are more jobs than this, the statement does not name them, and counts the work of all jobs. */
const MAX_NAMED = 1_000

/** The current and future work in an app's database. Instants are in epoch milliseconds. `Infinity` means that there is none. */
export interface Agenda {
  /** When the next job is planned. */
  readonly planAt: number
  /** When the first queued run is due. An instant in the past means that a limit may block the run. */
  readonly runAt: number
  /** When the first queued run that is not due yet will be due. */
  readonly nextRunAt: number
  /** When the next version of a config takes effect. */
  readonly configAt: number
  /** When the first lease of a node outside of this test ends. */
  readonly leaseAt: number
  readonly running: number
  /** How many runs are running on these nodes. */
  readonly runningHere: number
  /** How many backfills and batches have not ended. */
  readonly backfills: number
  readonly batches: number
  /** How many windows are waiting for windows of other jobs. */
  readonly waiting: number
  readonly items: ItemAgenda | undefined
}

interface ItemAgenda {
  readonly dueAt: number
  readonly nextDueAt: number
  readonly running: number
}

export interface AgendaScope {
  readonly now: number
  readonly jobIds: readonly string[]
  readonly nodeIds: readonly string[]
  readonly hasItems: boolean
}

const NOTHING = Infinity

type Row = Readonly<Record<keyof Agenda | 'itemAt' | 'nextItemAt' | 'itemsRunning', unknown>>

/** Reads the agenda with one statement. */
export async function readAgenda(sql: SqlDatabase, scope: AgendaScope): Promise<Agenda> {
  const { jobIds, nodeIds, hasItems, now } = scope
  const isNamed = jobIds.length <= MAX_NAMED
  const ofJobs = (column: string): string => (isNamed ? `AND ${column} IN (${marks(jobIds)})` : '')
  const names = isNamed ? (jobIds.length === 0 ? [''] : jobIds) : []
  const nodes = nodeIds.length === 0 ? [''] : nodeIds
  const at = sql.dialect === 'mysql' ? new Date(now) : new Date(now).toISOString()
  const items = hasItems
    ? `(SELECT MIN(due_at) FROM piko_item WHERE state = 'queued' ${ofJobs('job_id')}) AS itemAt,
       (SELECT MIN(due_at) FROM piko_item WHERE state = 'queued' ${ofJobs('job_id')} AND due_at > ?) AS nextItemAt,
       (SELECT COUNT(*) FROM piko_item WHERE state = 'running' ${ofJobs('job_id')}) AS itemsRunning,`
    : ''
  const [row] = await sql.query<Row>(
    `SELECT ${items}
       (SELECT MIN(plan_at) FROM piko_job WHERE is_paused = 0 ${ofJobs('id')}) AS planAt,
       (SELECT MIN(run_at) FROM piko_run WHERE state = 'queued' ${ofJobs('job_id')}) AS runAt,
       (SELECT MIN(run_at) FROM piko_run WHERE state = 'queued' ${ofJobs('job_id')} AND run_at > ?) AS nextRunAt,
       (SELECT COUNT(*) FROM piko_run WHERE state = 'running' ${ofJobs('job_id')}) AS running,
       (SELECT COUNT(*) FROM piko_run WHERE state = 'running' AND node_id IN (${marks(nodes)})) AS runningHere,
       (SELECT MIN(effective_from) FROM piko_job_config WHERE effective_from > ?) AS configAt,
       (SELECT MIN(expires_at) FROM piko_node WHERE id NOT IN (${marks(nodes)})) AS leaseAt,
       (SELECT COUNT(*) FROM piko_window WHERE state = 'waiting' ${ofJobs('job_id')}) AS waiting,
       (SELECT COUNT(*) FROM piko_backfill WHERE state IN ('running', 'cancelling')) AS backfills,
       (SELECT COUNT(*) FROM piko_batch WHERE state IN ('running', 'cancelling') AND finished_at IS NULL) AS batches`,
    [
      ...(hasItems ? [...names, ...names, at, ...names] : []),
      ...names,
      ...names,
      ...names,
      at,
      ...names,
      ...nodes,
      at,
      ...nodes,
      ...names,
    ],
  )
  if (!row) throw new TypeError('a SELECT without FROM returned no row')
  return {
    planAt: instant(row.planAt),
    runAt: instant(row.runAt),
    nextRunAt: instant(row.nextRunAt),
    configAt: instant(row.configAt),
    leaseAt: instant(row.leaseAt),
    running: Number(row.running),
    runningHere: Number(row.runningHere),
    backfills: Number(row.backfills),
    batches: Number(row.batches),
    waiting: Number(row.waiting),
    items: hasItems
      ? { dueAt: instant(row.itemAt), nextDueAt: instant(row.nextItemAt), running: Number(row.itemsRunning) }
      : undefined,
  }
}

function marks(values: readonly unknown[]): string {
  return values.length === 0 ? '?' : values.map(() => '?').join(', ')
}

function instant(value: unknown): number {
  return value === null ? NOTHING : instantOf('a stored instant', value).getTime()
}
