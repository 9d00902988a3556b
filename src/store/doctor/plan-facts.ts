import { CompiledQuery } from 'kysely'
import type { Database } from '../connection/database.ts'

/** How the database would execute one of the statements that must stay fast. */
export interface QueryPlan {
  readonly purpose: string
  readonly table: string
  readonly expected: string
  /** The index that the optimizer would use; undefined if it would read the table instead. */
  readonly used: string | undefined
  /** How many rows the optimizer expects to read. Undefined on SQLite. */
  readonly rows: number | undefined
}

interface Watched {
  readonly purpose: string
  readonly table: string
  readonly statement: string
  readonly mysql: string
  readonly sqlite: string
}

/**
 * The statements, in a form that both stores understand. States are literals, because SQLite uses a partial index only if the statement
 * contains its condition.
 */
const WATCHED: readonly Watched[] = [
  {
    purpose: 'claims of due runs',
    table: 'piko_run',
    statement:
      "SELECT id FROM piko_run WHERE state = 'queued' AND priority = 0 AND run_at <= '2026-01-01' ORDER BY run_at, id LIMIT 10",
    mysql: 'run_queue',
    sqlite: 'run_queue',
  },
  {
    purpose: 'counts of running runs',
    table: 'piko_run',
    statement: "SELECT id FROM piko_run WHERE job_id = 'x' AND state = 'running'",
    mysql: 'run_job',
    sqlite: 'run_running',
  },
  {
    purpose: 'plans of due jobs',
    table: 'piko_job',
    statement: "SELECT id FROM piko_job WHERE plan_at <= '2026-01-01' ORDER BY plan_at LIMIT 10",
    mysql: 'job_plan',
    sqlite: 'job_plan',
  },
  {
    purpose: 'windows of a job by state',
    table: 'piko_window',
    statement: "SELECT id FROM piko_window WHERE job_id = 'x' AND state = 'pending' ORDER BY start_at LIMIT 10",
    mysql: 'window_state',
    sqlite: 'window_state',
  },
  {
    purpose: 'log lines of a run',
    table: 'piko_run_log',
    statement: 'SELECT id FROM piko_run_log WHERE run_id = 1 ORDER BY id LIMIT 10',
    mysql: 'run_log_run',
    sqlite: 'run_log_run',
  },
]

export async function planFacts(database: Database): Promise<readonly QueryPlan[]> {
  const { name } = database.dialect
  const plans: QueryPlan[] = []
  for (const { purpose, table, statement, [name]: expected } of WATCHED) {
    const explain = name === 'mysql' ? 'EXPLAIN' : 'EXPLAIN QUERY PLAN'
    const { rows } = await database.db.executeQuery<Readonly<Record<string, unknown>>>(
      CompiledQuery.raw(`${explain} ${statement}`),
    )
    plans.push({ purpose, table, expected, ...(name === 'mysql' ? mysqlPlan(rows) : sqlitePlan(rows)) })
  }
  return plans
}

type Used = Pick<QueryPlan, 'used' | 'rows'>

function mysqlPlan([row]: readonly Readonly<Record<string, unknown>>[]): Used {
  const key = row?.['key']
  return { used: typeof key === 'string' ? key : undefined, rows: Number(row?.['rows'] ?? 0) }
}

/** Reads the plan from SQLite's rows. A row's detail has a form such as `SEARCH piko_run USING COVERING INDEX run_queue (priority=?)`. */
function sqlitePlan(rows: readonly Readonly<Record<string, unknown>>[]): Used {
  const details = rows.map((row) => String(row['detail'])).join('\n')
  return { used: /USING (?:COVERING )?INDEX (\w+)/.exec(details)?.[1], rows: undefined }
}
