import type { Transaction } from 'kysely'
import { bulkInsert, columnsOf, type Cell, NOW } from '../statements/bulk-insert.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'
import type { PlanDecision } from './plan.ts'

const COLUMNS = ['id', 'next_tick', 'plan_at', 'window_cursor', 'ledger_start', 'created_at', 'updated_at'] as const

/**
 * Stores where planning continues, for many jobs in one statement. The INSERT only updates rows, because all of them exist and are locked.
 * A stored beginning of a ledger only moves earlier.
 */
export async function updatePlans(
  trx: Transaction<Tables>,
  dialect: Dialect,
  decisions: readonly PlanDecision[],
): Promise<void> {
  if (decisions.length === 0) return
  const instant = (date: Date | undefined): Date | string | null => (date ? dialect.instant(date) : null)
  const rows = decisions.map((decision): Cell[] => [
    decision.jobId,
    instant(decision.nextTick),
    instant(decision.planAt),
    instant(decision.windowCursor),
    instant(firstWindowOf(decision)),
    NOW,
    NOW,
  ])
  const isMysql = dialect.name === 'mysql'
  const given = (column: string): string => (isMysql ? `VALUES(${column})` : `excluded.${column}`)
  const begin = given('ledger_start')
  const known = isMysql ? 'ledger_start' : 'piko_job.ledger_start'
  const changes = [
    ...['next_tick', 'plan_at', 'window_cursor'].map((column) => `${column} = ${given(column)}`),
    `ledger_start = CASE WHEN ${begin} IS NULL OR ${known} < ${begin} THEN ${known} ELSE ${begin} END`,
  ]
  const conflict = isMysql ? ' ON DUPLICATE KEY UPDATE ' : ' ON CONFLICT (id) DO UPDATE SET '
  await trx.executeQuery(bulkInsert(dialect, 'piko_job', columnsOf(COLUMNS, rows), conflict + changes.join(', ')))
}

function firstWindowOf({ runs, skippedWindows, waitingWindows }: PlanDecision): Date | undefined {
  const windows = [...runs.flatMap((run) => run.window ?? []), ...skippedWindows, ...waitingWindows]
  if (windows.length === 0) return undefined
  return new Date(Math.min(...windows.map(({ start }) => start.getTime())))
}
