import type { Transaction } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'
import type { PlanDecision } from '../jobs/plan.ts'

/** Removes from a decision the ticks and windows that already have a row. */
export async function withoutPlanned(
  trx: Transaction<Tables>,
  dialect: Dialect,
  decision: PlanDecision,
): Promise<PlanDecision> {
  const { jobId, runs, skippedWindows, waitingWindows } = decision
  const windows = [...runs.flatMap((run) => run.window ?? []), ...skippedWindows, ...waitingWindows]
  const starts = await stored(
    windows.map((window) => window.start),
    (instants) =>
      trx
        .selectFrom('piko_window')
        .select('start_at as instant')
        .where('job_id', '=', jobId)
        .where('start_at', 'in', instants)
        .execute(),
  )
  const ticks = await stored(
    runs.flatMap((run) => run.tick ?? []),
    (instants) =>
      trx
        .selectFrom('piko_run')
        .select('tick as instant')
        .where('job_id', '=', jobId)
        .where('tick', 'in', instants)
        .execute(),
  )
  return {
    ...decision,
    runs: runs.flatMap((run) => {
      const isFired = run.tick !== undefined && ticks.has(run.tick.getTime())
      if (!run.window) return isFired ? [] : run
      if (starts.has(run.window.start.getTime())) return []
      // The tick already fired at a time when the job had no windows, but the window must still run.
      return isFired ? { ...run, tick: undefined } : run
    }),
    skippedWindows: skippedWindows.filter((window) => !starts.has(window.start.getTime())),
    waitingWindows: waitingWindows.filter((window) => !starts.has(window.start.getTime())),
  }

  async function stored(
    dates: readonly Date[],
    read: (instants: (Date | string)[]) => Promise<{ instant: Date | string | null }[]>,
  ): Promise<Set<number>> {
    if (dates.length === 0) return new Set()
    const rows = await read(dates.map((date) => dialect.instant(date)))
    return new Set(rows.flatMap(({ instant }) => (instant === null ? [] : dialect.date(instant).getTime())))
  }
}
