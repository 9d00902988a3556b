import { isOneOf } from '../../errors-read.ts'
import { type Selectable, sql, type Transaction } from 'kysely'
import { ENDED_STATES, type EndedState } from '../../run/run.ts'
import { runsOfUnendedBatches } from '../batches/unended-runs.ts'
import { soundRows } from '../values/broken-row.ts'
import type { Database } from '../connection/database.ts'
import { chunksOf } from '../statements/chunks.ts'
import { eachApart, type Refused } from '../statements/each-apart.ts'
import { exactId } from '../values/exact-key.ts'
import type { RunTable, Tables } from '../tables.ts'

/** Which ended runs to delete. */
export interface RetentionFilter {
  /** The minimum time since a run ended, in milliseconds; 0: any. */
  readonly olderThanMs: number
  readonly states: readonly EndedState[]
  readonly jobId?: string | undefined
}

/** The state of a walk through the runs, from the newest to the oldest. */
export interface BeyondWalk {
  /** The walk continues with runs that have a smaller id. Undefined: it begins with the newest run. */
  readonly before: number | undefined
  /** How many ended runs of each job the walk has read so far. */
  readonly met: ReadonlyMap<string, number>
}

/** The result of one step of a walk over the runs, and where the walk continues. */
export interface RetentionStep {
  readonly count: number
  /** The id after which the next step begins; undefined if the walk is over. */
  readonly next: number | undefined
  /** Runs that stay because the database refuses to delete them. */
  readonly refused: readonly Refused[]
}

/** The result of one step of a {@link BeyondWalk}, and where the walk continues. */
export interface BeyondStep extends Pick<RetentionStep, 'count' | 'refused'> {
  readonly looked: number
  readonly walk: BeyondWalk | undefined
}

/** The maximum number of runs that one step reads, by primary key. */
const STEP = 1_000
/**
 * The size of the range of ids in which one step searches for the runs of a job. This takes a few milliseconds, even if the job has no runs
 * there.
 */
const SPAN = 10_000
/** The maximum number of runs that one transaction deletes. */
const BATCH = 200
/** The maximum number of steps and log lines that one transaction deletes, unless a single run has more. */
const MAX_ROWS = 5_000
/** The maximum number of steps or log lines that one statement deletes, if its transaction deletes a single run. Each may be large. */
const ROWS_AT_ONCE = 200

/**
 * Deletes ended runs with their attempts, log lines, steps, progress and idempotency keys, in short transactions, by primary key.
 *
 * Walks along the primary key, which is the order of creation, because an index on the end time would make every run more expensive. The
 * walk ends at the first run created after the limit.
 *
 * Runs of a batch that has not ended stay, because the batch still needs their results.
 *
 * The ledger stays, since a window that has ended does not need its run. A tick whose row is deleted does not fire again: the planner's
 * cursors only move forward.
 */
export class RetentionStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Does one step of a walk: deletes the matching runs with larger ids than `after`, or only counts them. */
  async step(filter: RetentionFilter, after: number, isDry = false): Promise<RetentionStep> {
    const { db, dialect } = this.#database
    const limit = dialect.nowPlus(-filter.olderThanMs)
    const rows = await db
      .selectFrom(this.#runsInOrder)
      .select(['id', 'state', 'created_at', 'finished_at'])
      .select((eb) => [
        eb('created_at', '<=', limit).as('is_made_before'),
        eb('finished_at', '<=', limit).as('is_ended_before'),
      ])
      .where('id', '>', after)
      .$if(filter.jobId !== undefined, (query) =>
        query.where('id', '<=', after + SPAN).where('job_id', '=', exactId(filter.jobId ?? '')),
      )
      .orderBy('id')
      .limit(STEP)
      .execute()
    // It is unknown whether an unreadable run is old, so the run is not deleted. The search continues after it.
    const sound = soundRows(dialect, 'piko_run', rows, this.#database.broken.report)
    const ids = sound
      .filter((row) => Number(row.is_ended_before) === 1 && isOneOf(filter.states, row.state))
      .map((row) => row.id)
    const needed = await runsOfUnendedBatches(this.#database, ids)
    const free = ids.filter((id) => !needed.has(id))
    const { count, refused } = isDry ? { count: free.length, refused: [] } : await this.#delete(free)
    if (sound.some((row) => Number(row.is_made_before) !== 1)) return { count, refused, next: undefined }
    if (rows.length === STEP) return { count, refused, next: rows.at(-1)?.id }
    return { count, refused, next: filter.jobId === undefined ? undefined : await this.#behind(after + SPAN) }
  }

  /** Returns where a job's walk continues after a range of ids. Undefined if there is no larger id. */
  async #behind(id: number): Promise<number | undefined> {
    const { db } = this.#database
    const row = await db
      .selectFrom('piko_run')
      .select('id')
      .where('id', '>', id)
      .orderBy('id')
      .limit(1)
      .executeTakeFirst()
    return row && row.id - 1
  }

  /** Reads the runs by primary key. If each step sorted a job's runs, the time would grow with the square of their number. */
  get #runsInOrder() {
    const { dialect } = this.#database
    const hint = dialect.name === 'sqlite' ? dialect.byPrimaryKey : dialect.forceIndex('PRIMARY')
    return sql<Selectable<RunTable>>`piko_run`.as<'piko_run'>(sql`piko_run${hint}`)
  }

  /**
   * Does one step of a walk from the newest run to the oldest: deletes ended runs of each job except its newest `keep`.
   *
   * @returns `looked`: how many runs it has read; `walk`: where the next step continues, undefined if the walk is over
   */
  async beyond(keep: number, { before, met }: BeyondWalk = { before: undefined, met: new Map() }): Promise<BeyondStep> {
    let query = this.#database.db
      .selectFrom(this.#runsInOrder)
      .select(['id', 'job_id', 'state'])
      .orderBy('id', 'desc')
      .limit(STEP)
    if (before !== undefined) query = query.where('id', '<', before)
    const rows = await query.execute()
    const counts = new Map(met)
    const gone: number[] = []
    for (const { id, job_id, state } of rows) {
      if (!isOneOf(ENDED_STATES, state)) continue
      const count = (counts.get(job_id) ?? 0) + 1
      counts.set(job_id, count)
      if (count > keep) gone.push(id)
    }
    const { count, refused } = await this.#delete(gone)
    const last = rows.at(-1)
    const walk = last && rows.length === STEP ? { before: last.id, met: counts } : undefined
    return { count, refused, looked: rows.length, walk }
  }

  /** Returns the id of the newest run; 0 if there is none. */
  async newestRun(): Promise<number> {
    const { db } = this.#database
    const row = await db.selectFrom('piko_run').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
    return row?.id ?? 0
  }

  /** Deletes some of the rows of rates that no longer have an effect. */
  async forgetRates(): Promise<void> {
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_rate')
      .select(['job_id', 'rate_key'])
      .where('expires_at', '<', dialect.now())
      .limit(STEP)
      .execute()
    for (const row of rows) {
      await this.#database.retry(() =>
        db
          .deleteFrom('piko_rate')
          .where('job_id', '=', row.job_id)
          .where('rate_key', '=', row.rate_key)
          // A rate that has been used again stays.
          .where('expires_at', '<', dialect.now())
          .execute(),
      )
    }
  }

  async #delete(ids: readonly number[]): Promise<Pick<RetentionStep, 'count' | 'refused'>> {
    let count = 0
    const refused: Refused[] = []
    for await (const batch of this.#batches(ids)) {
      const part = await eachApart(batch, (some) => this.#database.transaction((trx) => this.#deleteBatch(trx, some)))
      count += part.done.reduce((sum, one) => sum + one, 0)
      refused.push(...part.refused)
    }
    return { count, refused }
  }

  /** Divides runs into parts of limited size, because a run may have thousands of steps and log lines. */
  async *#batches(ids: readonly number[]): AsyncGenerator<number[]> {
    for (const some of chunksOf(ids, BATCH)) {
      const counts = await this.#rowsOf(some)
      let batch: number[] = []
      let rows = 0
      for (const id of some) {
        const more = counts.get(id) ?? 0
        if (batch.length > 0 && rows + more > MAX_ROWS) {
          yield batch
          batch = []
          rows = 0
        }
        batch.push(id)
        rows += more
      }
      yield batch
    }
  }

  /** Counts the steps and log lines of each run that has some. */
  async #rowsOf(ids: readonly number[]): Promise<ReadonlyMap<number, number>> {
    const counts = new Map<number, number>()
    for (const table of ['piko_step', 'piko_run_log'] as const) {
      const rows = await this.#database.db
        .selectFrom(table)
        .select((eb) => ['run_id', eb.fn.countAll<number>().as('count')])
        .where('run_id', 'in', ids)
        .groupBy('run_id')
        .execute()
      for (const { run_id, count } of rows) counts.set(run_id, (counts.get(run_id) ?? 0) + Number(count))
    }
    return counts
  }

  async #deleteBatch(trx: Transaction<Tables>, ids: readonly number[]): Promise<number> {
    // Some runs may have returned to the queue since they were found.
    const ended = await trx
      .selectFrom('piko_run')
      .select('id')
      .where('id', 'in', ids)
      .where('state', 'in', ENDED_STATES)
      .orderBy('id')
      .modifyEnd(this.#database.dialect.forUpdateSkipLocked)
      .execute()
    const found = ended.map((row) => row.id)
    const needed = await runsOfUnendedBatches(this.#database, found, trx)
    const gone = found.filter((id) => !needed.has(id))
    if (gone.length === 0) return 0
    await trx.deleteFrom('piko_attempt').where('run_id', 'in', gone).execute()
    const [only] = gone
    if (only !== undefined && ids.length === 1) {
      await deleteInParts(trx, 'piko_run_log', 'id', only)
      await deleteInParts(trx, 'piko_step', 'name', only)
    } else {
      await trx.deleteFrom('piko_run_log').where('run_id', 'in', gone).execute()
      await trx.deleteFrom('piko_step').where('run_id', 'in', gone).execute()
    }
    await trx.deleteFrom('piko_run_progress').where('run_id', 'in', gone).execute()
    await trx.deleteFrom('piko_idempotency').where('run_id', 'in', gone).execute()
    await trx.deleteFrom('piko_run').where('id', 'in', gone).execute()
    return gone.length
  }
}

/** Deletes the rows of one run in statements of limited size, because each SQLite statement blocks the event loop. */
async function deleteInParts(
  trx: Transaction<Tables>,
  table: 'piko_run_log' | 'piko_step',
  key: 'id' | 'name',
  runId: number,
): Promise<void> {
  const [from, column] = [sql.table(table), sql.ref(key)]
  for (;;) {
    const { rows } = await sql<{ last: unknown }>`
      SELECT ${column} AS last FROM ${from} WHERE run_id = ${runId} ORDER BY ${column} LIMIT 1 OFFSET ${sql.lit(ROWS_AT_ONCE - 1)}
    `.execute(trx)
    const until = rows[0] ? sql` AND ${column} <= ${rows[0].last}` : sql``
    await sql`DELETE FROM ${from} WHERE run_id = ${runId}${until}`.execute(trx)
    if (!rows[0]) return
  }
}
