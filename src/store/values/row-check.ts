import type { Kysely, Selectable } from 'kysely'
import { RUN_STATES } from '../../run/run.ts'
import { soundRows } from './broken-row.ts'
import { nextPriority } from '../runs/claim/next-priority.ts'
import { QUEUED, RUNNING } from '../runs/run-states.ts'
import type { TableName } from './row-rules.ts'
import { type CheckedDatabase, checkWindows } from './window-check.ts'
import type { BackfillTable, RunTable } from '../tables.ts'

/** The maximum number of rows that one statement reads. The statement takes a few milliseconds even on SQLite. */
const PAGE = 200
/**
 * The maximum number of config rows that one statement reads. The number is smaller, because configs are strings of up to 60 kB that must
 * be parsed.
 */
const CONFIG_PAGE = 20
/** How many entries at the end of each priority are checked first. Text that is not an instant usually sorts after all instants. */
const TAIL = 50
/** The maximum number of priorities whose last entries one check covers. */
const MAX_PRIORITIES = 20

/** For states that no index finds: how many run ids one step reads, and how many steps a check has. */
const SPAN = 5_000
const SPANS = 10

/** Where a check of the runs that are not due continues. */
interface QueuePlace {
  readonly priority: number
  /** The check continues after this instant, in the order of the index. Undefined: the check begins with the first run that is not due. */
  readonly runAt: Date | string | undefined
}

/**
 * Searches for rows that no query ever reads, because of their fault. For example, a `run_at` that sorts after every instant is never due,
 * and an `expires_at` that sorts there never passes. Other faulty rows are reported by the claims, plans and lists that read them.
 *
 * Checks small tables page by page. Of the runs, it checks the running ones and those not due, with the index of the queue. Of the
 * windows, it checks those that no query would find. Of the other runs, which may be millions, each check reads only a part, and only on
 * SQLite.
 */
export class RowCheck {
  readonly #database: CheckedDatabase
  #looks: (() => Promise<boolean>)[] = []
  #place: QueuePlace | undefined
  #windowsAfter: string | undefined
  #statesFrom = 0

  constructor(database: CheckedDatabase) {
    this.#database = database
  }

  /** Runs one short step. Returns false when everything has been checked; the next step then starts again from the beginning. */
  async step(): Promise<boolean> {
    if (this.#looks.length === 0) this.#looks = this.#allLooks()
    const [look] = this.#looks
    if (look && !(await look())) this.#looks.shift()
    return this.#looks.length > 0
  }

  /** Returns the checks. Each of them reads a page and returns whether there are more pages. */
  #allLooks(): (() => Promise<boolean>)[] {
    return [
      this.#pages('piko_job', 'id'),
      this.#pages('piko_generation', 'job_id'),
      this.#pages('piko_job_config', 'id', CONFIG_PAGE),
      this.#pages('piko_dependency', 'job_id'),
      this.#pages('piko_node', 'id'),
      this.#pages('piko_lock', 'name'),
      () => this.#rates(),
      () => this.#backfills(),
      () => this.#running(),
      () => this.#tails(),
      () => this.#notDue(),
      () => this.#windows(),
      () => this.#unknownStates(),
    ]
  }

  async #windows(): Promise<boolean> {
    this.#windowsAfter = await checkWindows(this.#database, this.#windowsAfter)
    return this.#windowsAfter !== undefined
  }

  /**
   * Searches SQLite for runs with an invalid state. No index finds them, so each step reads a part of all runs. MySQL stores such a state
   * as an empty string.
   */
  async #unknownStates(): Promise<boolean> {
    const { db, dialect } = this.#database
    if (dialect.name === 'mysql') return false
    const from = this.#statesFrom
    const { last } = await db
      .selectFrom('piko_run')
      .select((eb) => eb.fn.max('id').as('last'))
      .executeTakeFirstOrThrow()
    const rows = await db
      .selectFrom('piko_run')
      .select(['id', 'state'])
      .where('id', '>', from)
      .where('id', '<=', from + SPAN)
      .where('state', 'not in', RUN_STATES)
      .limit(PAGE)
      .execute()
    this.#report('piko_run', rows)
    this.#statesFrom = from + SPAN >= (last ?? 0) ? 0 : from + SPAN
    return this.#statesFrom % (SPANS * SPAN) > 0
  }

  /**
   * Reads a table in the order of its key. If a page ends between rows that share the first part of the key, the remaining rows with this
   * part are left out.
   */
  #pages(table: TableName, key: 'id' | 'job_id' | 'name', size = PAGE): () => Promise<boolean> {
    let after: unknown
    return async () => {
      // All these tables have the key column, but with different types.
      const db = this.#database.db as unknown as Kysely<Record<string, Record<string, unknown>>>
      const rows = await db
        .selectFrom(table)
        .selectAll()
        .$if(after !== undefined, (query) => query.where(key, '>', after))
        .orderBy(key)
        .limit(size)
        .execute()
      this.#report(table, rows)
      after = rows.at(-1)?.[key]
      return rows.length === size
    }
  }

  async #rates(): Promise<boolean> {
    const { db } = this.#database
    const columns = ['job_id', 'rate_key', 'expires_at'] as const
    const rows = await db.selectFrom('piko_rate').select(columns).orderBy('expires_at', 'desc').limit(TAIL).execute()
    this.#report('piko_rate', rows)
    return false
  }

  async #backfills(): Promise<boolean> {
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_backfill')
      .select(BACKFILL_COLUMNS)
      // With a lax `sql_mode` MySQL stores an unknown word as empty text.
      .where('state', 'in', [...UNFINISHED, ...(dialect.name === 'mysql' ? NO_WORD : [])])
      .limit(PAGE)
      .execute()
    this.#report('piko_backfill', rows)
    return false
  }

  async #running(): Promise<boolean> {
    const { db, dialect } = this.#database
    const states = [...(dialect.name === 'mysql' ? NO_WORD : []), RUNNING]
    for (const state of states) {
      const rows = await db.selectFrom('piko_run').select(RUN_COLUMNS).where('state', '=', state).limit(PAGE).execute()
      this.#report('piko_run', rows)
    }
    return false
  }

  /** Checks the entries that sort last among the queued runs of each priority. */
  async #tails(): Promise<boolean> {
    let priority = await nextPriority(this.#database.db, undefined)
    for (let count = 0; priority !== undefined && count < MAX_PRIORITIES; count++) {
      const rows = await this.#queued(priority).orderBy('run_at', 'desc').limit(TAIL).execute()
      this.#report('piko_run', rows)
      priority = await nextPriority(this.#database.db, priority)
    }
    return false
  }

  /**
   * Checks a page of queued runs that are not due, to find text that sorts between instants. If a page ends between runs with the same
   * instant, the remaining runs with this instant are left out.
   */
  async #notDue(): Promise<boolean> {
    const { dialect } = this.#database
    const { priority = await nextPriority(this.#database.db, undefined), runAt = undefined } = this.#place ?? {}
    this.#place = undefined
    if (priority === undefined) return false
    const rows = await this.#queued(priority)
      .where('run_at', '>', runAt ?? dialect.now())
      .orderBy('run_at')
      .limit(PAGE)
      .execute()
    this.#report('piko_run', rows)
    const last = rows.at(-1)
    if (last && rows.length === PAGE) this.#place = { priority, runAt: last.run_at }
    else {
      const next = await nextPriority(this.#database.db, priority)
      if (next !== undefined) this.#place = { priority: next, runAt: undefined }
    }
    return this.#place !== undefined
  }

  #queued(priority: number) {
    return this.#database.db
      .selectFrom('piko_run')
      .select(RUN_COLUMNS)
      .where('state', '=', QUEUED)
      .where('priority', '=', priority)
  }

  #report(table: TableName, rows: readonly object[]): void {
    const { dialect, broken } = this.#database
    soundRows(dialect, table, rows, broken.report)
  }
}

const UNFINISHED = ['running', 'paused', 'cancelling'] as const
const NO_WORD = ['' as never]

/** The checked columns that matter for a run that has not ended. */
const RUN_COLUMNS = [
  'id',
  'job_id',
  'state',
  'kind',
  'run_at',
  'tick',
  'window_start',
  'window_end',
  'attempt',
  'claims',
  'created_at',
  'started_at',
  'cancel_requested_at',
] as const satisfies readonly (keyof Selectable<RunTable>)[]

const BACKFILL_COLUMNS = [
  'id',
  'job_id',
  'state',
  'from_at',
  'to_at',
  'cursor_at',
  'window_order',
  'only_windows',
  'parallel',
  'total',
  'planned',
  'passed',
  'active_ms',
  'active_since',
  'created_at',
] as const satisfies readonly (keyof Selectable<BackfillTable>)[]
