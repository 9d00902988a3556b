import { sql, type Transaction } from 'kysely'
import { cancelledError } from '../../run/attempt.ts'
import type { Database } from '../connection/database.ts'
import { exactId } from '../values/exact-key.ts'
import { chunksOf } from '../statements/chunks.ts'
import { noteRows } from '../events/notes.ts'
import { endRuns } from './end-runs.ts'
import { eachApart, throwRefusal } from '../statements/each-apart.ts'
import { fenceOf } from './fence.ts'
import { idBatches, idsInOrder, MAX_NAMED } from './id-ranges.ts'
import { QUEUED, RUNNING } from './run-states.ts'
import type { Tables } from '../tables.ts'

/** Selects the runs to cancel: all matching runs that have not ended. */
export interface CancelFilter {
  readonly ids?: readonly number[]
  readonly jobId?: string
  /** The state of the runs to cancel. Default: both states. */
  readonly state?: 'queued' | 'running'
}

export interface CancelResult {
  /** The number of queued runs that are now cancelled. */
  readonly cancelled: number
  /** The number of running runs with a cancel request. Their nodes end them within two seconds. */
  readonly requested: number
}

/**
 * The maximum number of runs that one transaction cancels. Claims skip the runs that the transaction locks, so the transaction must be
 * short.
 */
const BATCH = 500

/** The maximum number of runs that a node checks in one query. */
const LARGEST_ASK = 10_000

/**
 * Cancels runs. A queued run ends immediately, with its window. A running one is marked, so that its node ends it; it is not queued again,
 * whatever the result of the attempt.
 *
 * Locks are acquired in this order: runs by id, then windows. If a claim commits first, the run counts as running. If the cancellation
 * commits first, the claim does not find the run in the queue.
 */
export class CancelStore {
  readonly #database: Database
  /** Called with the ids of the nodes whose runs have a new cancel request. */
  onRequested: ((nodeIds: readonly string[]) => void) | undefined

  constructor(database: Database) {
    this.#database = database
  }

  /** Requests the cancellation. Ignores runs that have ended, are unknown, or were created after the call. */
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

  /**
   * Returns what `request` would do now, without changing anything. If a run begins during the call, it may be counted twice. If a run
   * returns to the queue, it may not be counted at all.
   */
  async preview(filter: CancelFilter): Promise<CancelResult> {
    return { cancelled: await this.#count(filter, 'queued'), requested: await this.#count(filter, 'running') }
  }

  async #count(filter: CancelFilter, state: 'queued' | 'running'): Promise<number> {
    if (filter.state !== undefined && filter.state !== state) return 0
    let count = 0
    for await (const ids of this.#batches({ ...filter, state })) count += ids.length
    return count
  }

  /** Returns a number that changes whenever runs of this node get cancel requests. */
  async mark(nodeId: string): Promise<number | undefined> {
    const { db } = this.#database
    const row = await db.selectFrom('piko_node').select('cancels').where('id', '=', nodeId).executeTakeFirst()
    return row?.cancels
  }

  /** Returns the fences of those runs that have a cancel request. Reads by primary key. */
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
   * Splits the filter into parts that need no sorting. Lists of ids are split so that they fit into a statement. On SQLite each job is a
   * part of its own, because the indexes list the ids of each job in order.
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

  /** Returns the next job, in the order of job ids, with runs that have not ended. Reads only a few index entries. */
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
   * Reads each state from the index on job and state. The index ends with the id, so only the few results are sorted. One statement reads
   * both states, so that it can't miss a run whose state changes.
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
      noteRows(trx, 'runs', ids)
    }
    const nodeIds = [...new Set(unmarked.flatMap((row) => row.node_id ?? []))]
    return { cancelled: queued.length, requested: running.length, nodeIds }
  }

  /**
   * Notifies nodes of the cancel requests. This happens outside the transaction: inside it, a hanging transaction would block the
   * heartbeats of these nodes. A node that is not notified finds the requests when it checks by itself.
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
    if (nodeIds.length > 0) this.onRequested?.(nodeIds)
  }
}
