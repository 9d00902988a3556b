import { type BatchFigures, countedBatch } from '../../ledger/node-figures.ts'
import type { Run, RunState } from '../../run/run.ts'
import type { Database } from '../connection/database.ts'
import { mapInTurns } from '../../loop-turn.ts'
import { valuesOf } from '../statements/row-values.ts'
import { type BrokenRow, readEach, readOne } from '../values/broken-row.ts'
import { exactId } from '../values/exact-key.ts'
import type { ClaimRequest, ClaimResult } from './claim/claim-request.ts'
import { RunClaims } from './claim/claim-runs.ts'
import type { Finish, FinishResult } from './finish.ts'
import { finishRuns } from './finish-runs.ts'
import { insertRuns } from './insert-rows.ts'
import { countRuns, listRuns } from './list-runs.ts'
import { pageRuns, type RunPage } from './page-runs.ts'
import type { RunFilter } from './run-filter.ts'
import type { CappedCount } from '../statements/capped-count.ts'
import { counted, runSummary, type RunSummary } from './run-summary.ts'
import { type NewRun, newRow } from './new-run.ts'
import type { GivenBack } from './give-back.ts'
import { type Recovered, recoverRuns, recoverUnheld } from './recover-runs.ts'
import { runOf } from './run-row.ts'
import { type RunTimeline, type TimelineFilter, timelineRuns } from './timeline-runs.ts'
import { type RunQuery, storeUnique, type Unique } from './unique-run.ts'
import { storeUniqueMany } from './unique-runs.ts'

function noBatches(): BatchFigures {
  return { batches: 0, runs: 0, seconds: 0 }
}

/** The maximum number of runs in one claim, and in one statement that ends runs. */
export const MAX_RUNS = 2_000

/**
 * The queue and the history of runs, in one narrow table. The fence guards every change of a claimed run.
 *
 * Order of locks, in every transaction: runs, then job rows, then windows.
 */
export class RunStore {
  readonly #database: Database
  readonly #claims: RunClaims
  readonly figures = { claims: noBatches(), finishes: noBatches() }

  constructor(database: Database) {
    this.#database = database
    this.#claims = new RunClaims(database)
  }

  /**
   * Stores all of the runs or none. Returns their ids in order. Always uses a transaction: if the answer to a single statement is lost, it
   * may have executed. In a transaction, only the commit has that problem.
   */
  async enqueue(runs: readonly NewRun[]): Promise<number[]> {
    const { dialect, transaction } = this.#database
    const rows = await mapInTurns(runs, (run) => newRow(dialect, run))
    return transaction((trx) => insertRuns(trx, dialect, rows))
  }

  /** Stores a run, unless a run with its key exists. Returns the id of the run that has the key. */
  async enqueueUnique(run: NewRun & { readonly unique: Unique }): Promise<number> {
    const { dialect } = this.#database
    return this.#database.transaction((trx) => {
      const query: RunQuery = async (statement) => valuesOf((await trx.executeQuery(statement.compile())).rows)
      const row = newRow(dialect, run)
      return storeUnique(this.#database, { query }, run.jobId, run.unique, row, async () => {
        const [id] = await insertRuns(trx, dialect, [row])
        return id as number
      })
    })
  }

  /**
   * Stores many runs of one job in the given order, all or none. A run with a key is stored like {@link enqueueUnique}; a run without a key
   * is always stored.
   */
  async enqueueUniqueMany(jobId: string, runs: readonly NewRun[]): Promise<number[]> {
    const { dialect, transaction } = this.#database
    const requests = await mapInTurns(runs, (run) => ({ unique: run.unique, row: newRow(dialect, run) }))
    return transaction((trx) => storeUniqueMany(trx, dialect, jobId, requests))
  }

  /** Whether a run is due, and the database's time. For an empty queue this one statement replaces a claim's transaction. */
  look(
    among: Pick<ClaimRequest, 'only' | 'except' | 'ids'> = {},
  ): Promise<{ readonly isAnyDue: boolean; readonly now: Date }> {
    return this.#claims.look(among)
  }

  /**
   * Takes due runs for a node: smallest priority number first, then longest due.
   *
   * `lockDue` finds them, and `admit` applies the limits.
   */
  claim(request: ClaimRequest): Promise<ClaimResult> {
    return countedBatch(this.figures.claims, this.#claims.claim(request), ({ claims }) => claims.length)
  }

  /**
   * Stores how claims ended, with the windows that they own, all in one transaction.
   *
   * A run with a cancel request is cancelled instead of queued again.
   */
  finish(nodeId: string, finishes: readonly Finish[]): Promise<FinishResult> {
    return countedBatch(this.figures.finishes, finishRuns(this.#database, nodeId, finishes), () => finishes.length)
  }

  /**
   * Returns runs that no live node holds to the queue, and ends those with a cancel request. The lost attempt does not count.
   *
   * @param lostAttempts a run fails instead if this many nodes died while they ran it
   * @param except a node whose runs are skipped
   * @param aside runs to skip
   * @param after only runs with a greater id, by id: a limited number for each call
   */
  recover(
    lostAttempts = Infinity,
    except?: string,
    aside: ReadonlySet<number> = new Set(),
    after = 0,
  ): Promise<Recovered> {
    return recoverRuns(this.#database, lostAttempts, except, aside, after)
  }

  /**
   * Returns runs to the queue that this node has claimed but does not know, because the answer to the claim was lost. Skips claims younger
   * than `ageMs`, whose answers may still arrive.
   */
  recoverUnheld(
    nodeId: string,
    held: () => ReadonlySet<number>,
    ageMs: number,
    aside: ReadonlySet<number> = new Set(),
  ): Promise<GivenBack> {
    return recoverUnheld(this.#database, nodeId, held, ageMs, aside)
  }

  /** @throws BrokenRow if its row can't be read */
  async find(runId: number): Promise<Run | undefined> {
    const { runs, broken } = await this.findEach([runId])
    if (broken[0]) throw broken[0]
    return runs[0]
  }

  /** The run of a tick, or of the last planned tick. Uses the index (job_id, tick). */
  async findTick(jobId: string, tick: Date | undefined): Promise<Run | undefined> {
    const { db, dialect } = this.#database
    let query = db.selectFrom('piko_run').selectAll().where('job_id', '=', exactId(jobId)).where('tick', 'is not', null)
    if (tick) query = query.where('tick', '=', dialect.instant(tick))
    const row = await query.orderBy('tick', 'desc').limit(1).executeTakeFirst()
    return row && readOne(dialect, 'piko_run', row, (one) => runOf(one, dialect))
  }

  /** The runs with readable rows, and the rows that can't be read. */
  async findEach(
    runIds: readonly number[],
  ): Promise<{ readonly runs: readonly Run[]; readonly broken: readonly BrokenRow[] }> {
    // MySQL would read NaN as a column name, and the text '1 or 2' as the number 1.
    const ids = runIds.filter((id) => Number.isSafeInteger(id))
    if (ids.length === 0) return { runs: [], broken: [] }
    const { db, dialect } = this.#database
    const rows = await db.selectFrom('piko_run').selectAll().where('id', 'in', ids).execute()
    const { read: runs, broken } = readEach(dialect, 'piko_run', rows, (row) => runOf(row, dialect))
    return { runs, broken }
  }

  list(filter: RunFilter = {}): Promise<Run[]> {
    return listRuns(this.#database, filter)
  }

  /** A page of runs, newest first. Takes a bounded time whatever the filter. */
  page(filter: RunFilter): Promise<RunPage> {
    return pageRuns(this.#database, filter)
  }

  /** The runs that waited or ran in a range of time. Takes a bounded time however many the store has. */
  timeline(filter: TimelineFilter): Promise<RunTimeline> {
    return timelineRuns(this.#database, filter)
  }

  /** The work of all nodes at this moment. */
  summary(): Promise<RunSummary> {
    return runSummary(this.#database)
  }

  /** The queued or running runs of a job, counted up to 10,000. */
  open(jobId: string, state: 'queued' | 'running'): Promise<CappedCount> {
    return counted(this.#database, state, jobId)
  }

  /** The number of runs by state, of one job or of all jobs. */
  count(jobId?: string): Promise<Record<RunState, number>> {
    return countRuns(this.#database, jobId)
  }
}
