import { sql, type Transaction } from 'kysely'
import { cancelledError } from '../../run/attempt.ts'
import { type Database } from '../connection/database.ts'
import { exactId } from '../values/exact-key.ts'
import { chunksOf } from '../statements/chunks.ts'
import { endRuns } from './end-runs.ts'
import { eachApart, throwRefusal } from '../statements/each-apart.ts'
import { fenceOf } from './fence.ts'
import { idBatches, idsInOrder, MAX_NAMED } from './id-ranges.ts'
import { QUEUED, RUNNING } from './run-states.ts'
import { type Tables } from '../tables.ts'

/** Which runs to cancel: all that fit and have not ended. */
export interface CancelFilter {
  readonly ids?: readonly number[]
  readonly jobId?: string
  /** Default: both. */
  readonly state?: 'queued' | 'running'
}

export interface CancelResult {
  /** Runs that were queued and are cancelled now. */
  readonly cancelled: number
  /** Running runs whose nodes end them within two seconds. */
  readonly requested: number
}

/** Runs of one transaction: what it locks, claims leave aside. */
const BATCH = 500

/** Nodes ask for so many of their runs in one query. */
const LARGEST_ASK = 10_000

/**
 * Asks for the end of runs. A queued run ends at once, and its window with it; a running one gets a mark that its node finds,
 * and that keeps it from being queued again, whatever becomes of the attempt.
 *
 * Order of locks: runs by id, then windows. A claim that commits first makes the run running; one that comes later does not
 * find it in the queue.
 */
export class CancelStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Runs that have ended, or are unknown, are left as they are. Those queued after the call are too. */
  async request(filter: CancelFilter, onRefused = throwRefusal): Promise<CancelResult> {
    let cancelled = 0
    let requested = 0
    for await (const ids of this.#batches(filter)) {
      const batch = await eachApart(ids, (some) =>
        this.#database.transaction((trx) => this.#cancel(trx, some, filter.state)),
      )
      for (const part of batch.done) {
        await this.#tell(part.nodeIds)
        cancelled += part.cancelled
        requested += part.requested
      }
      batch.refused.forEach(onRefused)
    }
    return { cancelled, requested }
  }

  /** A number that changes when somebody asks for the end of a run that the node holds. */
  async mark(nodeId: string): Promise<number | undefined> {
    const { db } = this.#database
    const row = await db.selectFrom('piko_node').select('cancels').where('id', '=', nodeId).executeTakeFirst()
    return row?.cancels
  }

  /** The fences of those of a node's runs that somebody wants cancelled; by primary key. */
  async requested(runIds: readonly number[]): Promise<number[]> {
    const fences: number[] = []
    for (const some of chunksOf(runIds, LARGEST_ASK)) {
      const rows = await this.#database.db
        .selectFrom('piko_run')
        .select(['id', 'claims'])
        .where('id', 'in', some)
        .where('cancel_requested_at', 'is not', null)
        .execute()
      fences.push(...rows.map((row) => fenceOf(row.id, row.claims)))
    }
    return fences
  }

  async *#batches(filter: CancelFilter): AsyncGenerator<number[]> {
    const { last } = await this.#database.db
      .selectFrom('piko_run')
      .select((eb) => eb.fn.max('id').as('last'))
      .executeTakeFirstOrThrow()
    for await (const part of this.#parts(filter))
      yield* idBatches(BATCH, 0, (after) => this.#batch(part, after, last ?? 0).execute())
  }

  /**
   * The same runs, in parts that are read without sorting: named ones as many as a statement takes, and job by job on SQLite, whose
   * indexes have the ids of each job in order.
   */
  async *#parts(filter: CancelFilter): AsyncGenerator<CancelFilter> {
    const { dialect } = this.#database
    if (filter.ids) {
      for (const ids of chunksOf(idsInOrder(filter.ids), MAX_NAMED)) yield { ...filter, ids }
    } else if (dialect.name === 'mysql' || filter.jobId !== undefined) {
      yield filter
    } else {
      for (let jobId = await this.#nextJob(''); jobId !== undefined; jobId = await this.#nextJob(jobId))
        yield { ...filter, jobId }
    }
  }

  /** The next job with runs that have not ended, by id: each state by its index, of which only the ends are read. */
  async #nextJob(after: string): Promise<string | undefined> {
    const { db } = this.#database
    const first = (state: typeof QUEUED) =>
      db
        .selectFrom('piko_run')
        .select((eb) => eb.fn.min('job_id').as('id'))
        .where('state', '=', state)
        .where('job_id', '>', after)
    const rows = await first(QUEUED).unionAll(first(RUNNING)).execute()
    const [id] = rows.flatMap((row) => (row.id as string | null) ?? []).sort()
    return id
  }

  /**
   * Each state is read by the index of job and state, which ends in the id: nothing is sorted but the few that are read. Both in
   * one statement, so that a run that goes from one state to the other meanwhile is not overlooked.
   */
  #batch({ ids, jobId, state }: CancelFilter, after: number, last: number) {
    const { db } = this.#database
    const inState = (one: 'queued' | 'running') => {
      let query = db
        .selectFrom('piko_run')
        .select('id')
        .where('state', '=', one === 'queued' ? QUEUED : RUNNING)
        .where('id', '>', after)
        .where('id', '<=', last)
        .orderBy('id')
        .limit(BATCH)
      if (ids) query = query.where('id', 'in', ids)
      if (jobId !== undefined) query = query.where('job_id', '=', exactId(jobId))
      return query
    }
    if (state) return inState(state)
    const from = (one: 'queued' | 'running') => db.selectFrom(inState(one).as(one)).select('id')
    return from('queued').unionAll(from('running')).orderBy('id').limit(BATCH)
  }

  async #cancel(
    trx: Transaction<Tables>,
    ids: readonly number[],
    state: CancelFilter['state'],
  ): Promise<CancelResult & { readonly nodeIds: readonly string[] }> {
    const { dialect } = this.#database
    const rows = await trx
      .selectFrom('piko_run')
      .select(['id', 'state', 'window_start', 'cancel_requested_at', 'node_id'])
      .where('id', 'in', ids)
      .orderBy('id')
      .modifyEnd(dialect.forUpdate)
      .execute()
    const queued = state === 'running' ? [] : rows.filter((row) => row.state === 'queued')
    const running = state === 'queued' ? [] : rows.filter((row) => row.state === 'running')
    await endRuns(trx, dialect, queued, {
      state: 'cancelled',
      error: cancelledError(),
      cancel_requested_at: dialect.now(),
    })
    const unmarked = running.filter((row) => row.cancel_requested_at === null)
    if (unmarked.length > 0) {
      const ids = unmarked.map((row) => row.id)
      await trx.updateTable('piko_run').set({ cancel_requested_at: dialect.now() }).where('id', 'in', ids).execute()
    }
    const nodeIds = [...new Set(unmarked.flatMap((row) => row.node_id ?? []))]
    return { cancelled: queued.length, requested: running.length, nodeIds }
  }

  /**
   * Not in the transaction: one that stood still would keep the row of another node from its heartbeat. Nodes that are not told look
   * by themselves now and then.
   */
  async #tell(nodeIds: readonly string[]): Promise<void> {
    const { db } = this.#database
    for (const nodeId of nodeIds) {
      const bump = db
        .updateTable('piko_node')
        .set({ cancels: sql`cancels + 1` })
        .where('id', '=', nodeId)
      await this.#database.retry(() => bump.execute())
    }
  }
}
