import { type RawBuilder, type Selectable, sql } from 'kysely'
import type { FleetFigures, JobFigures, QueueFigures, WindowFigures } from '../../ledger/fleet-figures.ts'
import type { Database } from '../connection/database.ts'
import { nextPriority } from '../runs/claim/next-priority.ts'
import { QUEUED } from '../runs/run-states.ts'
import type { RunTable } from '../tables.ts'

const MAX_JOBS = 1_000
const MAX_QUEUED = 10_000
/** The maximum number of priorities that are counted, because jobs may give their runs any priority. */
const MAX_PRIORITIES = 20
const MAX_COUNTED = 10_000

/** The watermark is at most the start of the first window in one of these states. */
const NOT_COVERING = ['pending', 'failed', 'cancelled', 'skipped', 'waiting', 'stale'] as const
/** The states of windows whose data counts as missing. */
const MISSING = ['pending', 'waiting', 'failed'] as const
const COUNTED = ['pending', 'waiting', 'failed', 'stale'] as const

type Stored = Date | string | null

/** Reads the state of the fleet for a scrape. Each query reads a limited number of rows, however many are stored. */
export class FigureStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async read(): Promise<FleetFigures> {
    const { now, ...fleet } = await this.#fleet()
    const [queue, isQueueCapped] = await this.#queue(now)
    return { jobs: await this.#jobs(now), queue, isQueueCapped, ...fleet }
  }

  async #fleet() {
    const { db, dialect } = this.#database
    const some = (from: RawBuilder<unknown>): RawBuilder<number> =>
      sql<number>`(SELECT COUNT(*) FROM (SELECT 1 FROM ${from} LIMIT ${sql.lit(MAX_COUNTED)}) one)`
    const row = await db
      .selectNoFrom([
        dialect.now().as('now'),
        some(sql`piko_run WHERE state = 'running'`).as('running'),
        some(sql`piko_node WHERE expires_at > ${dialect.now()}`).as('nodes'),
        some(sql`piko_lock WHERE name = 'leader' AND owner IS NOT NULL AND expires_at > ${dialect.now()}`).as(
          'leaders',
        ),
        some(sql`piko_alert WHERE kind = 'failure' AND recovered_at IS NULL`).as('failure'),
        some(sql`piko_alert WHERE kind = 'late' AND recovered_at IS NULL`).as('late'),
        some(sql`piko_message WHERE state = 'due'`).as('due'),
        some(sql`piko_message WHERE state = 'dead'`).as('dead'),
      ])
      .executeTakeFirstOrThrow()
    return {
      now: dialect.date(row.now).getTime(),
      running: Number(row.running),
      nodes: Number(row.nodes),
      hasLeader: Number(row.leaders) > 0,
      alerts: { failure: Number(row.failure), late: Number(row.late) },
      messages: { due: Number(row.due), dead: Number(row.dead) },
    }
  }

  /**
   * Counts the due runs that would be claimed first, up to a maximum. Beyond that, counts only the first due run of each further
   * priority. Each priority is a range of the queue's index, so runs that are due later are not read.
   */
  async #queue(now: number): Promise<[QueueFigures[], boolean]> {
    const { db } = this.#database
    const queue: QueueFigures[] = []
    let left = MAX_QUEUED
    let isCapped = false
    let priority = await nextPriority(db, undefined)
    for (let count = 0; priority !== undefined; count++) {
      if (count === MAX_PRIORITIES) return [queue, true]
      const found = await this.#ofPriority(priority, now, Math.max(1, left))
      queue.push(...found)
      left -= found.reduce((sum, { runs }) => sum + runs, 0)
      isCapped ||= left <= 0 || found.length === MAX_JOBS
      priority = await nextPriority(db, priority)
    }
    return [queue, isCapped]
  }

  async #ofPriority(priority: number, now: number, limit: number): Promise<QueueFigures[]> {
    const { db, dialect } = this.#database
    const queue = sql<Selectable<RunTable>>`piko_run`.as<'piko_run'>(sql`piko_run${dialect.forceIndex('run_queue')}`)
    const due = db
      .selectFrom(queue)
      .select(['job_id', 'run_at'])
      .where('state', '=', QUEUED)
      .where('priority', '=', priority)
      .where('run_at', '<=', dialect.instant(new Date(now)))
      .orderBy('run_at')
      .limit(limit)
    const rows = await db
      .selectFrom(due.as('due'))
      .select((eb) => ['job_id', eb.fn.countAll<number>().as('runs'), eb.fn.min('run_at').as('oldest')])
      .groupBy('job_id')
      .orderBy('oldest')
      .limit(MAX_JOBS)
      .execute()
    return rows.map((row) => ({
      ...{ jobId: row.job_id, priority, runs: Number(row.runs) },
      oldestSeconds: Math.max(0, now - dialect.date(row.oldest).getTime()) / 1_000,
    }))
  }

  async #jobs(now: number): Promise<JobFigures[]> {
    const { db, dialect } = this.#database
    const first = (column: 'start_at' | 'end_at', state: string): RawBuilder<Stored> =>
      sql<Stored>`(SELECT w.${sql.raw(column)} FROM piko_window w WHERE w.job_id = piko_job.id
        AND w.state = ${sql.lit(state)} AND w.start_at >= piko_job.ledger_start ORDER BY w.start_at LIMIT 1)`
    const count = (state: string): RawBuilder<number> => {
      const windows = sql`FROM piko_window w WHERE w.job_id = piko_job.id AND w.state = ${sql.lit(state)}`
      const most = sql.lit(MAX_COUNTED)
      return sql<number>`CASE WHEN (SELECT w.start_at ${windows} ORDER BY w.start_at LIMIT 1 OFFSET ${most}) IS NULL
        THEN (SELECT COUNT(*) ${windows}) ELSE ${most} END`
    }
    const rows = await db
      .selectFrom('piko_job')
      .select(['id', 'windows', 'is_paused', 'next_tick', 'ledger_start', 'window_cursor', 'deadline_ms'])
      .select(NOT_COVERING.map((state) => first('start_at', state).as(`first_${state}`)))
      .select(MISSING.map((state) => first('end_at', state).as(`end_${state}`)))
      .select(COUNTED.map((state) => count(state).as(`count_${state}`)))
      .orderBy('id')
      .limit(MAX_JOBS)
      .execute()
    return rows.map((row) => {
      const read = (value: Stored): number | undefined => (value === null ? undefined : dialect.date(value).getTime())
      const least = (values: readonly Stored[]): number | undefined => {
        const known = values.map(read).filter((ms) => ms !== undefined)
        return known.length === 0 ? undefined : Math.min(...known)
      }
      const nextTick = read(row.next_tick)
      const cursor = read(row.window_cursor)
      const windows =
        row.windows === null || cursor === undefined
          ? undefined
          : windowFigures(now, {
              ...{ cursor, nextTick: Number(row.is_paused) === 1 ? undefined : nextTick },
              hole: least(NOT_COVERING.map((state) => row[`first_${state}`])),
              missing: least(MISSING.map((state) => row[`first_${state}`])),
              missingEnd: least(MISSING.map((state) => row[`end_${state}`])),
              counts: {
                pending: Number(row.count_pending),
                waiting: Number(row.count_waiting),
                failed: Number(row.count_failed),
                stale: Number(row.count_stale),
              },
            })
      return {
        ...{ jobId: row.id, isPaused: Number(row.is_paused) === 1, windows },
        nextTick: nextTick === undefined ? undefined : nextTick / 1_000,
        deadlineSeconds: row.deadline_ms === null ? undefined : Number(row.deadline_ms) / 1_000,
      }
    })
  }
}

interface Ledger {
  /** The end of the last planned window. */
  readonly cursor: number
  /** When further windows should be planned; undefined: never, or the job is paused. */
  readonly nextTick: number | undefined
  readonly hole: number | undefined
  readonly missing: number | undefined
  readonly missingEnd: number | undefined
  readonly counts: WindowFigures['counts']
}

/**
 * Calculates the figures of a job's windows. The arguments are in milliseconds, the figures in seconds. If a tick has passed without being
 * planned, data is missing too. Pure.
 */
export function windowFigures(now: number, ledger: Ledger): WindowFigures {
  const { cursor, nextTick, hole, missing, missingEnd, counts } = ledger
  const watermark = hole ?? cursor
  const unplanned = nextTick !== undefined && nextTick < now ? now - nextTick : 0
  const lacking = missingEnd === undefined ? 0 : Math.max(0, now - missingEnd)
  const oldest = missing ?? (unplanned > 0 ? cursor : undefined)
  return {
    watermark: watermark / 1_000,
    ageSeconds: Math.max(0, now - watermark) / 1_000,
    lagSeconds: (cursor - watermark + unplanned) / 1_000,
    overdueSeconds: Math.max(lacking, unplanned) / 1_000,
    oldestMissing: oldest === undefined ? undefined : oldest / 1_000,
    counts,
  }
}
