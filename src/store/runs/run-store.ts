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
import { insertAtomically, insertRuns, isOneStatement } from './insert-rows.ts'
import { noteLate, noteRows } from '../events/notes.ts'
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

/** The maximum number of runs that one claim takes, or that one call of `finish` ends. */
export const MAX_RUNS = 2_000

/**
 * The queue and the history of runs, in one narrow table. Every change that a node makes to its claimed runs checks their fences.
 *
 * Its transactions acquire locks in this order: runs, job rows, windows.
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
   * Stores all of the runs or none. Returns the ids in the order of the runs. Uses a transaction even for a single statement of MySQL: if
   * its answer is lost, nobody knows whether it executed. In a transaction, only the commit has that problem. SQLite's answers are not lost.
   */
  async enqueue(runs: readonly NewRun[]): Promise<number[]> {
    const { db, dialect, recording, retry, transaction } = this.#database
    const rows = await mapInTurns(runs, (run) => newRow(dialect, run))
    if (recording.isOn || !isOneStatement(dialect, rows)) return transaction((trx) => insertRuns(trx, dialect, rows))
    const ids = await retry(() => insertAtomically(db, dialect, rows))
    noteLate(this.#database, (trx) => noteRows(trx, 'runs', ids))
    return ids
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

  /** Reads the database's time and whether a run is due. For an empty queue, this one statement replaces the transaction of a claim. */
  look(
    among: Pick<ClaimRequest, 'only' | 'except' | 'ids'> = {},
  ): Promise<{ readonly isAnyDue: boolean; readonly now: Date }> {
    return this.#claims.look(among)
  }

  /**
   * Claims due runs for a node. Runs with the smallest priority number come first; among these, the ones that have been due longest.
   *
   * `lockDue` finds them, and `admit` applies the limits.
   */
  claim(request: ClaimRequest): Promise<ClaimResult> {
    return countedBatch(this.figures.claims, this.#claims.claim(request), ({ claims }) => claims.length)
  }

  /**
   * Stores how claims ended, together with the state of their windows, in one transaction.
   *
   * A run with a cancel request is cancelled instead of queued again.
   */
  finish(nodeId: string, finishes: readonly Finish[]): Promise<FinishResult> {
    return countedBatch(this.figures.finishes, finishRuns(this.#database, nodeId, finishes), () => finishes.length)
  }

  /**
   * Returns to the queue the runs that no live node holds. Ends those with a cancel request. The lost attempt does not count.
   *
   * @param lostAttempts a run fails instead if this many nodes died while they ran it
   * @param except a node whose runs are skipped
   * @param aside runs to skip
   * @param after only runs with a greater id; each call handles a limited number, in the order of the ids
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
   * Returns to the queue the runs that this node has claimed but does not know, because the answer to the claim was lost. Skips claims
   * younger than `ageMs`, because their answers may still arrive.
   */
  recoverUnheld(
    nodeId: string,
    held: () => ReadonlySet<number>,
    ageMs: number,
    aside: ReadonlySet<number> = new Set(),
  ): Promise<GivenBack> {
    return recoverUnheld(this.#database, nodeId, held, ageMs, aside)
  }

  /** Finds a run. @throws BrokenRow if its row can't be read */
  async find(runId: number): Promise<Run | undefined> {
    const { runs, broken } = await this.findEach([runId])
    if (broken[0]) throw broken[0]
    return runs[0]
  }

  /** Finds the run of a tick, by default of the last tick that has a run. Uses the index (job_id, tick). */
  async findTick(jobId: string, tick: Date | undefined): Promise<Run | undefined> {
    const { db, dialect } = this.#database
    let query = db.selectFrom('piko_run').selectAll().where('job_id', '=', exactId(jobId)).where('tick', 'is not', null)
    if (tick) query = query.where('tick', '=', dialect.instant(tick))
    const row = await query.orderBy('tick', 'desc').limit(1).executeTakeFirst()
    return row && readOne(dialect, 'piko_run', row, (one) => runOf(one, dialect))
  }

  /** Returns the runs with readable rows, and the rows that can't be read. */
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

  /** Returns a page of runs, newest first. The time is limited whatever the filter. */
  page(filter: RunFilter): Promise<RunPage> {
    return pageRuns(this.#database, filter)
  }

  /** Returns the runs that waited or ran in a range of time. The time that this takes is limited, however many runs the store has. */
  timeline(filter: TimelineFilter): Promise<RunTimeline> {
    return timelineRuns(this.#database, filter)
  }

  /** Summarizes the current work of all nodes. */
  summary(): Promise<RunSummary> {
    return runSummary(this.#database)
  }

  /** Counts the queued or running runs of a job, up to 10,000. */
  open(jobId: string, state: 'queued' | 'running'): Promise<CappedCount> {
    return counted(this.#database, state, jobId)
  }

  /** Counts the runs by state, of one job or of all jobs. */
  count(jobId?: string): Promise<Record<RunState, number>> {
    return countRuns(this.#database, jobId)
  }
}
