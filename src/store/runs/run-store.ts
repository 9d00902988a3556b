import { setImmediate } from 'node:timers/promises'
import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely'
import { cancelledError } from '../../run/attempt.ts'
import { type Claim, type Run, type RunState, type Transition } from '../../run/run.ts'
import { admit, withoutLimited } from '../admission/admission.ts'
import { endedAttempt, recordAttempts } from '../history/attempt-store.ts'
import { type BrokenRow, readEach, readOne } from '../values/broken-row.ts'
import { NOW } from '../statements/bulk-insert.ts'
import { ClaimSpread } from './claim-spread.ts'
import { type Database } from '../connection/database.ts'
import { type Dialect } from '../connection/dialect.ts'
import { exactId } from '../values/exact-key.ts'
import { insertRuns, type NewRow } from './insert-rows.ts'
import { toJson } from '../../json/json.ts'
import { mapInTurns } from '../connection/loop-turn.ts'
import { countRuns, listRuns, type RunFilter } from './list-runs.ts'
import { lockDue, lookForDue } from './lock-due.ts'
import { claimOf, type ClaimRow, runOf } from './run-row.ts'
import { RUNNING } from './run-states.ts'
import { FENCE_FACTOR } from './fence.ts'
import { giveBack } from './give-back.ts'
import { type Tables } from '../tables.ts'
import { SetAsideRuns } from './set-aside-runs.ts'
import { takeRuns } from './take-runs.ts'
import { storeUniqueMany } from './unique-runs.ts'
import { type RunQuery, storeUnique, type Unique } from './unique-run.ts'
import { valuesOf } from '../statements/row-values.ts'
import { type NewRun } from './new-run.ts'
import { type ClaimRequest, type ClaimResult } from './claim-request.ts'
import { type FinishResult, type Finish } from './finish.ts'
import { settleWindows, guarded } from './guarded.ts'

/** Runs of one claim, and of one statement of ends. */
export const MOST_RUNS = 2_000

/**
 * The queue and the history, one narrow table. Every change of a claimed run is guarded by its fence.
 *
 * Order of locks, in every transaction: runs, then job rows, then windows.
 */
export class RunStore {
  readonly #database: Database
  readonly #spread = new ClaimSpread()
  readonly #aside: SetAsideRuns

  constructor(database: Database) {
    this.#database = database
    this.#aside = new SetAsideRuns(database)
  }

  /**
   * Stores runs, all or none; returns their ids in order. Always in a transaction: a single statement whose answer is lost may
   * have been executed, but of a transaction that is true of its commit alone.
   */
  async enqueue(runs: readonly NewRun[]): Promise<number[]> {
    const { dialect, transaction } = this.#database
    const rows = await mapInTurns(runs, (run) => this.row(run))
    return transaction((trx) => insertRuns(trx, dialect, rows))
  }

  /** Stores a run unless one with its key is there; returns the id of the one that is. */
  async enqueueUnique(run: NewRun & { readonly unique: Unique }): Promise<number> {
    const { dialect } = this.#database
    return this.#database.transaction((trx) => {
      const query: RunQuery = async (statement) => valuesOf((await trx.executeQuery(statement.compile())).rows)
      const row = this.row(run)
      return storeUnique(this.#database, { query }, run.jobId, run.unique, row, async () => {
        const [id] = await insertRuns(trx, dialect, [row])
        return id as number
      })
    })
  }

  /** The same for many runs of one job, all or none, in the order that they are given; those without a key are stored. */
  async enqueueUniqueMany(jobId: string, runs: readonly NewRun[]): Promise<number[]> {
    const { dialect, transaction } = this.#database
    const requests = await mapInTurns(runs, (run) => ({ unique: run.unique, row: this.row(run) }))
    return transaction((trx) => storeUniqueMany(trx, dialect, jobId, requests))
  }

  /** The row of a new run. */
  row(run: NewRun): NewRow {
    const { dialect } = this.#database
    const instant = (date: Date | undefined): Date | string | null => (date ? dialect.instant(date) : null)
    return {
      job_id: run.jobId,
      state: run.skipped !== undefined ? 'skipped' : run.claimedBy !== undefined ? 'running' : 'queued',
      kind: run.kind,
      priority: run.priority,
      run_at: run.runAt ? dialect.instant(run.runAt) : NOW,
      tick: instant(run.tick),
      concurrency_key: run.concurrencyKey ?? null,
      rate_key: run.rateKey ?? null,
      backfill_id: run.backfillId ?? null,
      window_start: instant(run.window?.start),
      window_end: instant(run.window?.end),
      config: toJson(run.config, 'config'),
      input: toJson(run.input, 'input'),
      reason: run.skipped ?? null,
      created_at: NOW,
      finished_at: run.skipped === undefined ? null : NOW,
      ...(run.claimedBy !== undefined && {
        claim: { node_id: run.claimedBy, attempt: 1, claims: 1, started_at: NOW },
      }),
    }
  }

  /** Whether a run is due, and the database's time: one statement where a claim is a transaction, for a queue that is empty. */
  async look(
    among: Pick<ClaimRequest, 'only' | 'except'> = {},
  ): Promise<{ readonly isAnyDue: boolean; readonly now: Date }> {
    await this.#aside.refresh()
    return lookForDue(this.#database.db, this.#database.dialect, { ...among, without: this.#aside.ids })
  }

  /**
   * Takes due runs for a node, smallest priority first, then the longest due.
   *
   * See `lockDue` for how they are found, and `admit` for the limits.
   */
  async claim(request: ClaimRequest): Promise<ClaimResult> {
    await this.#aside.refresh()
    for (let tries = 1; ; tries++) {
      try {
        const { isOvertaken, ...result } = await this.#spread.claim((share) =>
          this.#database.transaction((trx) =>
            this.#claim(trx, { ...request, share: share(), without: this.#aside.ids }),
          ),
        )
        if (!isOvertaken || tries >= MOST_OVERTAKEN) return result
      } catch (thrown) {
        // Nothing was claimed. The next claim leaves out what can't be read, and says so once.
        if (!(thrown instanceof BrokenRuns) || this.#aside.isFull) throw thrown
        this.#aside.add(thrown.rows)
        return { claims: [], blocked: [], broken: thrown.rows }
      }
    }
  }

  async #claim(
    trx: Transaction<Tables>,
    request: ClaimRequest,
  ): Promise<ClaimResult & { readonly isOvertaken: boolean }> {
    const { dialect } = this.#database
    const found = await lockDue(trx, dialect, request)
    const { rows, leftPriority } = request.early ? withoutLimited(found, request.limits) : { rows: found }
    const { monotonic = () => performance.now(), limits } = request
    const { admitted, blocked, places, ...rest } = await admit(trx, dialect, rows, limits, monotonic)
    const refused = rest.refused.length > 0 ? rest.refused : undefined
    if (admitted.length === 0) return { claims: [], blocked, leftPriority, refused, isOvertaken: false }
    const ids = admitted.map((row) => row.id)
    const taking = takeRuns(trx, dialect, request, ids)
    // The rows are read while the server is at work; in the next turn of the event loop its statement is on the way.
    const reading = setImmediate().then(() =>
      claimsFrom(dialect, admitted, (row) => claimOf(row, dialect, places.get(row.id))),
    )
    const [taken, read] = await Promise.all([taking, reading])
    const claims = read.filter(({ runId }) => taken.has(runId))
    return { claims, blocked, leftPriority, refused, isOvertaken: claims.length === 0 }
  }

  /**
   * Stores how claims ended, all in one transaction, with the windows that they own.
   *
   * A run that is to be queued again and that somebody wants cancelled is cancelled instead.
   */
  async finish(nodeId: string, finishes: readonly Finish[]): Promise<FinishResult> {
    if (finishes.length === 0) return NONE_LOST
    const { db, dialect } = this.#database
    // One statement needs no transaction, and this one may be repeated: what it has done already is found out below.
    if (finishes.every(isAlone)) {
      const changed = await this.#database.retry(() => this.#succeed(db, nodeId, finishes))
      if (changed === finishes.length) return NONE_LOST
    }
    return this.#database.transaction(async (trx) => {
      const cancelled = new Set<number>()
      const changed = await this.#settleRuns(trx, nodeId, finishes, cancelled)
      const lost =
        changed === finishes.length ? new Set<number>() : await this.#lostOf(trx, nodeId, finishes, cancelled)
      const written = finishes.filter(({ claim }) => !lost.has(claim.fence))
      await settleWindows(
        trx,
        dialect,
        written.map(({ claim, transition }) =>
          cancelled.has(claim.fence)
            ? { claim, transition: { to: 'cancelled', error: cancelledError() } }
            : { claim, transition },
        ),
      )
      // What never began was no attempt.
      const begun = written.filter((finish) => !isUntouched(finish))
      const ends = begun.flatMap(({ claim, transition }) => endedAttempt(nodeId, claim, transition))
      await recordAttempts(trx, dialect, ends)
      const withFence = (fences: ReadonlySet<number>): Claim[] =>
        fences.size === 0 ? [] : claimsOf(finishes).filter((claim) => fences.has(claim.fence))
      return { lost: withFence(lost), cancelled: withFence(cancelled) }
    })
  }

  async #settleRuns(
    trx: Transaction<Tables>,
    nodeId: string,
    finishes: readonly Finish[],
    cancelled: Set<number>,
  ): Promise<number> {
    const plain = finishes.filter((finish) => isPlain(finish))
    const untouched = plain.length === finishes.length ? [] : finishes.filter((finish) => isUntouched(finish))
    // Of a stop with many runs under way.
    const interrupted = plain.length === finishes.length ? [] : finishes.filter((finish) => isInterrupted(finish))
    const isAll = plain.length + untouched.length + interrupted.length === finishes.length
    const others = isAll
      ? []
      : finishes.filter((finish) => !isPlain(finish) && !isUntouched(finish) && !isInterrupted(finish))
    const { dialect } = this.#database
    let changed = 0
    if (plain.length > 0) changed += await this.#succeed(trx, nodeId, plain)
    if (untouched.length > 0) changed += await this.#putBack(trx, nodeId, untouched, 'untouched')
    if (interrupted.length > 0) changed += await this.#putBack(trx, nodeId, interrupted, 'begun')
    for (const finish of others) {
      const isRequeued = finish.transition.to === 'queued'
      const { numUpdatedRows } = await guarded(trx, dialect, nodeId, [finish.claim])
        .set(this.#changes(finish.transition))
        .$if(isRequeued, (update) => update.where('cancel_requested_at', 'is', null))
        .executeTakeFirstOrThrow()
      changed += Number(numUpdatedRows)
      if (isRequeued && numUpdatedRows === 0n && (await this.#cancelInstead(trx, nodeId, finish))) {
        cancelled.add(finish.claim.fence)
        changed += 1
      }
    }
    return changed
  }

  async #succeed(db: Kysely<Tables>, nodeId: string, finishes: readonly Finish[]): Promise<number> {
    const { dialect } = this.#database
    const { numUpdatedRows } = await guarded(db, dialect, nodeId, claimsOf(finishes))
      .set({ state: 'succeeded', error: null, finished_at: dialect.now() })
      .executeTakeFirstOrThrow()
    return Number(numUpdatedRows)
  }

  /** Those that somebody wants cancelled end, and are not among the count: which ones it were is found out with those that are lost. */
  async #putBack(
    trx: Transaction<Tables>,
    nodeId: string,
    finishes: readonly Finish[],
    kind: 'untouched' | 'begun',
  ): Promise<number> {
    const { dialect } = this.#database
    const held = () => guarded(trx, dialect, nodeId, claimsOf(finishes))
    const uncounted = { node_id: null, attempt: sql<number>`attempt - 1` }
    const untaken = { ...uncounted, started_at: null }
    const { numUpdatedRows } = await held()
      .set({ state: 'queued', ...(kind === 'begun' ? { ...uncounted, run_at: dialect.now() } : untaken) })
      .where('cancel_requested_at', 'is', null)
      .executeTakeFirstOrThrow()
    if (Number(numUpdatedRows) < finishes.length)
      await held()
        .set(this.#changes({ to: 'cancelled', error: cancelledError() }))
        .$if(kind === 'untouched', (update) => update.set(untaken))
        .where('cancel_requested_at', 'is not', null)
        .execute()
    return Number(numUpdatedRows)
  }

  /** Not queued again: either somebody wants the run cancelled, or the claim is no longer valid. */
  async #cancelInstead(trx: Transaction<Tables>, nodeId: string, finish: Finish): Promise<boolean> {
    const { numUpdatedRows } = await guarded(trx, this.#database.dialect, nodeId, [finish.claim])
      .set(this.#changes({ to: 'cancelled', error: cancelledError() }))
      .where('cancel_requested_at', 'is not', null)
      .executeTakeFirstOrThrow()
    return numUpdatedRows > 0n
  }

  #changes(transition: Transition): RunChanges {
    const { dialect } = this.#database
    switch (transition.to) {
      case 'succeeded':
        return {
          state: 'succeeded',
          error: null,
          output: toJson(transition.output, 'output'),
          finished_at: dialect.now(),
        }
      case 'failed':
      case 'cancelled':
        return { state: transition.to, error: toJson(transition.error, 'error'), finished_at: dialect.now() }
      case 'queued':
        return {
          state: 'queued',
          node_id: null,
          run_at: queuedAt(transition, dialect),
          ...(!transition.counted && { attempt: sql<number>`attempt - 1` }),
          ...(transition.error && { error: toJson(transition.error, 'error') }),
        }
    }
  }

  /** The fences of those claims that do not stand in their rows as this node left them; adds to `cancelled`. */
  async #lostOf(
    trx: Transaction<Tables>,
    nodeId: string,
    finishes: readonly Finish[],
    cancelled: Set<number>,
  ): Promise<Set<number>> {
    const rows = await trx
      .selectFrom('piko_run')
      .select(['id', 'claims', 'node_id', 'state'])
      .where(
        'id',
        'in',
        finishes.map(({ claim }) => claim.runId),
      )
      .execute()
    const byId = new Map(rows.map((row) => [row.id, row]))
    const lost = new Set<number>()
    for (const { claim, transition } of finishes) {
      const row = byId.get(claim.runId)
      const owner = transition.to === 'queued' ? null : nodeId
      const fence = row ? row.id * FENCE_FACTOR + row.claims : undefined
      // Queued by this node and then cancelled, or cancelled in place of being queued.
      if (transition.to === 'queued' && row?.state === 'cancelled' && fence === claim.fence) cancelled.add(claim.fence)
      else if (row?.state !== transition.to || fence !== claim.fence || row.node_id !== owner) lost.add(claim.fence)
    }
    return lost
  }

  /**
   * Gives runs that no live node holds back to the queue, or ends those that somebody wants cancelled; the attempt is not
   * counted. Returns how many, and whose.
   *
   * @param mostLost a run under which this many nodes died fails instead
   * @param except a node whose runs are left alone
   */
  async recover(mostLost = Infinity, except?: string): Promise<{ count: number; nodeIds: string[] }> {
    const { db, dialect } = this.#database
    const orphans = await db
      .selectFrom('piko_run')
      .leftJoin('piko_node', 'piko_node.id', 'piko_run.node_id')
      .select(['piko_run.id', 'piko_run.node_id', 'piko_run.claims'])
      .where('piko_run.state', '=', RUNNING)
      .where((eb) => eb.or([eb('piko_node.id', 'is', null), eb('piko_node.expires_at', '<', dialect.now())]))
      .$if(except !== undefined, (query) => query.where('piko_run.node_id', '<>', except as string))
      .limit(MAX_RECOVERED)
      .execute()
    let count = 0
    const byNode = Map.groupBy(orphans, (row) => row.node_id)
    for (const [nodeId, rows] of byNode) {
      if (nodeId === null) continue
      const held = rows.map((row) => ({ runId: row.id, fence: row.id * FENCE_FACTOR + row.claims }))
      count += await giveBack(this.#database, nodeId, held, mostLost)
    }
    return { count, nodeIds: [...byNode.keys()].filter((id) => id !== null) }
  }

  /**
   * Gives back what the database says a node holds and the node knows nothing of: claims that were committed and whose
   * answer was lost. Claims younger than `ageMs` are left alone, their answer may be on its way.
   */
  async recoverUnheld(nodeId: string, held: () => ReadonlySet<number>, ageMs: number): Promise<number> {
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_run')
      .select(['id', 'claims'])
      .where('state', '=', RUNNING)
      .where('node_id', '=', nodeId)
      .where('started_at', '<', dialect.nowPlus(-ageMs))
      .execute()
    if (rows.length === 0) return 0
    // Asked for now and not before: after a blocked event loop the answer of an old claim arrives while this one is awaited.
    const fences = held()
    const unheld = rows
      .map((row) => ({ runId: row.id, fence: row.id * FENCE_FACTOR + row.claims }))
      .filter(({ fence }) => !fences.has(fence))
    let count = 0
    for (let from = 0; from < unheld.length; from += MAX_RECOVERED)
      count += await giveBack(this.#database, nodeId, unheld.slice(from, from + MAX_RECOVERED))
    return count
  }

  /** @throws BrokenRow when its row can't be read */
  async find(runId: number): Promise<Run | undefined> {
    const { runs, broken } = await this.findEach([runId])
    if (broken[0]) throw broken[0]
    return runs[0]
  }

  /** The run of a tick, or of the last tick that was planned; by the index (job_id, tick). */
  async findTick(jobId: string, tick: Date | undefined): Promise<Run | undefined> {
    const { db, dialect } = this.#database
    let query = db.selectFrom('piko_run').selectAll().where('job_id', '=', exactId(jobId)).where('tick', 'is not', null)
    if (tick) query = query.where('tick', '=', dialect.instant(tick))
    const row = await query.orderBy('tick', 'desc').limit(1).executeTakeFirst()
    return row && readOne(dialect, 'piko_run', row, (one) => runOf(one, dialect))
  }

  /** Those that can be read, and the rows of those that can't. */
  async findEach(
    runIds: readonly number[],
  ): Promise<{ readonly runs: readonly Run[]; readonly broken: readonly BrokenRow[] }> {
    if (runIds.length === 0) return { runs: [], broken: [] }
    const { db, dialect } = this.#database
    const rows = await db.selectFrom('piko_run').selectAll().where('id', 'in', runIds).execute()
    const { read: runs, broken } = readEach(dialect, 'piko_run', rows, (row) => runOf(row, dialect))
    return { runs, broken }
  }

  list(filter: RunFilter = {}): Promise<Run[]> {
    return listRuns(this.#database, filter)
  }

  /** Runs by state, of one job or of all. */
  count(jobId?: string): Promise<Record<RunState, number>> {
    return countRuns(this.#database, jobId)
  }
}

class BrokenRuns extends Error {
  readonly rows: readonly BrokenRow[]

  constructor(rows: readonly BrokenRow[]) {
    super('rows of due runs are broken')
    this.rows = rows
  }
}

function claimsFrom(dialect: Dialect, rows: readonly ClaimRow[], read: (row: ClaimRow) => Claim): readonly Claim[] {
  try {
    return rows.map(read)
  } catch {
    const { broken } = readEach(dialect, 'piko_run', rows, read)
    throw new BrokenRuns(broken)
  }
}

/** Orphans that one `recover` gives back. */
export const MAX_RECOVERED = 1_000

/** On a server without SKIP LOCKED others may take all that a claim has found; it looks again so often. */
const MOST_OVERTAKEN = 20

/** When a run that is queued again is due. */
function queuedAt(
  { at, delayMs }: Extract<Transition, { to: 'queued' }>,
  dialect: Dialect,
): Date | string | RawBuilder<Date> {
  if (at) return dialect.instant(at)
  return delayMs > 0 ? dialect.nowPlus(delayMs) : dialect.now()
}

interface RunChanges {
  state: RunState
  node_id?: null
  run_at?: Date | string | RawBuilder<Date>
  attempt?: RawBuilder<number>
  error?: string | null
  output?: string | null
  finished_at?: RawBuilder<Date>
}

/** A success that leaves nothing behind: many of them are one statement. */
function isPlain({ transition }: Finish): boolean {
  return transition.to === 'succeeded' && transition.output === undefined
}

/** It never began, and goes back to the queue as it was: many of them are one statement. */
function isUntouched({ claim, transition }: Finish): boolean {
  return transition.to === 'queued' && !transition.counted && !transition.error && transition.at === claim.runAt
}

/** It began, and is queued again now, uncounted. */
function isInterrupted({ transition }: Finish): boolean {
  return (
    transition.to === 'queued' &&
    !transition.counted &&
    !transition.error &&
    transition.at === undefined &&
    transition.delayMs === 0
  )
}

/** A plain success without a window. */
function isAlone(finish: Finish): boolean {
  return finish.claim.window === undefined && isPlain(finish)
}

const NONE_LOST: FinishResult = { lost: [], cancelled: [] }

function claimsOf(finishes: readonly Finish[]): Claim[] {
  return finishes.map(({ claim }) => claim)
}
