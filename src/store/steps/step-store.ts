import { type Selectable, sql } from 'kysely'
import type { StepRecord } from '../../run/step.ts'
import type { Database } from '../connection/database.ts'
import { optionalDate } from '../runs/run-row.ts'
import { chunksOf } from '../statements/chunks.ts'
import { inPages } from '../statements/pages.ts'
import type { StepTable } from '../tables.ts'
import { BrokenRow, soundRows } from '../values/broken-row.ts'
import { exactKey, keyOf } from '../values/exact-key.ts'
import { mapSound } from '../values/map-sound.ts'
import { faultsOf } from '../values/row-faults.ts'
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
  /** How long the wait had lasted when the row was read, in milliseconds, measured by the database's clock. */
  readonly waitedMs: number
  /** Reads the result. Returns undefined if the row was deleted or can't be read. A row that can't be read is reported. */
  readonly read: () => Promise<{ readonly value: unknown } | undefined>
}

/** The maximum number of ids in a statement. SQLite accepts 32,766 parameters. */
const MAX_IDS = 1_000

/**
 * Results up to this size are read together with the other small results of their run. A larger result is read when the handler needs it.
 */
const SMALL_BYTES = 8_192
/** The maximum total size of results that are read together. */
const MAX_TOGETHER_BYTES = 32 * 1_024 * 1_024

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

type StepName = Pick<Selectable<StepTable>, 'run_id' | 'name'>

interface StoredRow extends StepName, Pick<Selectable<StepTable>, 'tries' | 'waiting_since' | 'finished_at'> {
  readonly read_at: Date
  readonly bytes: number | null
  readonly small: string | null
}

/** Results of the steps of handlers. They are stored by name, and all attempts of a run use them. */
export class StepStore {
  readonly #database: Database
  readonly #maxTogetherBytes: number

  constructor(database: Database, maxTogetherBytes = MAX_TOGETHER_BYTES) {
    this.#database = database
    this.#maxTogetherBytes = maxTogetherBytes
  }

  add(steps: readonly NewStep[]): Promise<StepStored[]> {
    return addSteps(this.#database, steps)
  }

  commit<T>(commit: StepCommit<T>): Promise<T | typeof STORED_BY_ANOTHER> {
    return commitStep(this.#database, commit)
  }

  /** Whether the caller runs inside a user's transaction on this database. */
  get isInTransaction(): boolean {
    return this.#database.isInside()
  }

  /**
   * Returns all steps of a run by name, or only the one called `name`. Reads small results immediately, but large ones only when they are
   * needed, because a run may have thousands of results of a megabyte each. Rows that can't be read are reported, and their steps count as
   * not finished.
   */
  async stored(runId: number, name?: string): Promise<ReadonlyMap<string, StoredStep>> {
    const { dialect, broken } = this.#database
    const steps = new Map<string, StoredStep>()
    let leftBytes = this.#maxTogetherBytes
    await inPages<StoredRow>(Infinity, async (limit, last) => {
      const rows = await this.#page(runId, name, { limit, last, smallBytes: leftBytes > 0 ? SMALL_BYTES : -1 })
      for (const { small, bytes, ...row } of rows) {
        leftBytes -= small?.length ?? 0
        const [sound] = soundRows(dialect, 'piko_step', [row], broken.report)
        const since = sound && optionalDate(sound.waiting_since, dialect)
        const isHere = bytes === null || small !== null
        steps.set(keyOf(row.name), {
          isFinished: sound !== undefined && sound.finished_at !== null,
          tries: sound?.tries ?? 0,
          waitingSince: since,
          waitedMs: since ? dialect.date(row.read_at).getTime() - since.getTime() : 0,
          // The text is parsed only when needed, because there may be thousands of steps and the handler may need only a few.
          read: async () => (isHere ? this.#parsed(row, small) : this.#read(row)),
        })
      }
      return rows
    })
    return steps
  }

  #page(
    runId: number,
    name: string | undefined,
    { limit, last, smallBytes }: { limit: number; last: StoredRow | undefined; smallBytes: number },
  ): Promise<StoredRow[]> {
    const { db, dialect } = this.#database
    return db
      .selectFrom('piko_step')
      .select(['run_id', 'name', 'tries', 'waiting_since', 'finished_at', dialect.now().as('read_at')])
      .select([
        sql<number | null>`OCTET_LENGTH(result)`.as('bytes'),
        sql<string | null>`CASE WHEN OCTET_LENGTH(result) <= ${sql.lit(smallBytes)} THEN result END`.as('small'),
      ])
      .where('run_id', '=', runId)
      .$if(name !== undefined, (query) => query.where('name', '=', exactKey(name ?? '')))
      .$if(last !== undefined, (query) => query.where('name', '>', last?.name ?? ''))
      .orderBy('name')
      .limit(limit)
      .execute()
  }

  /** Lists the steps of a run in the order in which they were stored, without their results. */
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

  /** Whether one of these runs has a stored step with this name. */
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

  async #read(row: StepName): Promise<{ readonly value: unknown } | undefined> {
    const { db } = this.#database
    const found = await db
      .selectFrom('piko_step')
      .select('result')
      .where('run_id', '=', row.run_id)
      .where('name', '=', row.name)
      .executeTakeFirst()
    return found && this.#parsed(row, found.result)
  }

  #parsed(row: StepName, result: string | null): { readonly value: unknown } | undefined {
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
