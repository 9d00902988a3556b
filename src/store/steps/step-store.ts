import type { Selectable } from 'kysely'
import type { StepRecord } from '../../run/step.ts'
import type { Database } from '../connection/database.ts'
import { optionalDate } from '../runs/run-row.ts'
import { chunksOf } from '../statements/chunks.ts'
import { inPages } from '../statements/pages.ts'
import type { StepTable } from '../tables.ts'
import { BrokenRow, soundRows } from '../values/broken-row.ts'
import { exactKey, keyOf } from '../values/exact-key.ts'
import { mapSound } from '../values/map-sound.ts'
import { faultsOf } from '../values/row-rules.ts'
import { addSteps, type StepStored } from './add-steps.ts'
import { commitStep, type StepCommit, type STORED_BY_ANOTHER } from './commit-step.ts'
import type { NewStep } from './new-step.ts'

/** A step that an earlier attempt stored. */
export interface StoredStep {
  /** False if `ctx.until` was still waiting. */
  readonly isFinished: boolean
  readonly tries: number
  /** When the wait began. */
  readonly waitingSince: Date | undefined
  /** How long the wait had lasted at this read, in milliseconds by the database's clock. */
  readonly waitedMs: number
  /** Returns the result. Returns undefined if the row can't be read, which is reported. */
  readonly read: () => { readonly value: unknown } | undefined
}

/** SQLite accepts 32,766 parameters in a statement. */
const MAX_IDS = 1_000

const LIST_COLUMNS = [
  'run_id',
  'name',
  'fence',
  'seq',
  'attempt',
  'ms',
  'tries',
  'waiting_since',
  'finished_at',
] as const

type ListRow = Pick<Selectable<StepTable>, (typeof LIST_COLUMNS)[number]>

/** Results of parts of handlers, remembered by name over the attempts of a run. */
export class StepStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** See `addSteps`. */
  add(steps: readonly NewStep[]): Promise<StepStored[]> {
    return addSteps(this.#database, steps)
  }

  /** See `commitStep`. */
  commit<T>(commit: StepCommit<T>): Promise<T | typeof STORED_BY_ANOTHER> {
    return commitStep(this.#database, commit)
  }

  /** Whether the caller is the function of a user's transaction on this database. */
  get isInTransaction(): boolean {
    return this.#database.isInside()
  }

  /** All steps of a run by name, in one query; with `name` only that one. Reports rows that can't be read; they are not finished. */
  async stored(runId: number, name?: string): Promise<ReadonlyMap<string, StoredStep>> {
    const { db, dialect, broken } = this.#database
    const rows = await db
      .selectFrom('piko_step')
      .select(['run_id', 'name', 'result', 'tries', 'waiting_since', 'finished_at', dialect.now().as('read_at')])
      .where('run_id', '=', runId)
      .$if(name !== undefined, (query) => query.where('name', '=', exactKey(name ?? '')))
      .execute()
    const steps = new Map<string, StoredStep>()
    for (const { result, ...row } of rows) {
      const [sound] = soundRows(dialect, 'piko_step', [row], broken.report)
      const since = sound && optionalDate(sound.waiting_since, dialect)
      steps.set(keyOf(row.name), {
        isFinished: sound !== undefined && sound.finished_at !== null,
        tries: sound?.tries ?? 0,
        waitingSince: since,
        waitedMs: since ? dialect.date(row.read_at).getTime() - since.getTime() : 0,
        // There may be thousands, and the handler may ask for a few.
        read: () => this.#read(row, result),
      })
    }
    return steps
  }

  /** The steps of a run in the order in which they finished, without their results. */
  async list(runId: number): Promise<StepRecord[]> {
    const { db, dialect, broken } = this.#database
    const rows = await inPages<ListRow>(Infinity, (size, last) =>
      db
        .selectFrom('piko_step')
        .select(LIST_COLUMNS)
        .where('run_id', '=', runId)
        .$if(last !== undefined, (query) => query.where('name', '>', last?.name ?? ''))
        .orderBy('name')
        .limit(size)
        .execute(),
    )
    const inOrder = rows.toSorted((one, other) => one.fence - other.fence || one.seq - other.seq)
    const recordOf = (row: ListRow): StepRecord => ({
      name: keyOf(row.name),
      attempt: row.attempt,
      tries: row.tries,
      ms: row.ms,
      waitingSince: optionalDate(row.waiting_since, dialect),
      finishedAt: optionalDate(row.finished_at, dialect),
    })
    return mapSound(dialect, 'piko_step', inOrder, recordOf, broken.report)
  }

  /** Whether one of these runs remembers a step of this name. */
  async isKnown(runIds: readonly number[], name: string): Promise<boolean> {
    const { db } = this.#database
    for (const some of chunksOf(runIds, MAX_IDS)) {
      const found = await db
        .selectFrom('piko_step')
        .select('run_id')
        .where('run_id', 'in', some)
        .where('name', '=', exactKey(name))
        .limit(1)
        .execute()
      if (found.length > 0) return true
    }
    return false
  }

  #read(row: { run_id: number; name: string }, result: string | null): { readonly value: unknown } | undefined {
    if (result === null) return { value: undefined }
    try {
      return { value: JSON.parse(result) as unknown }
    } catch {
      const { dialect, broken } = this.#database
      broken.report(new BrokenRow('piko_step', row, faultsOf(dialect, 'piko_step', { ...row, result })))
      return undefined
    }
  }
}
