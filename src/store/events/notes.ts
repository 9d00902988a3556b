import { type Kysely, sql } from 'kysely'
import { type Packed, type PackedRun, type PackedWindow, parts, type RunGroup, sizeOf } from '../../live/packed.ts'
import { storedMessage } from '../../run/run-error.ts'
import { bulkInsert, type Cell, columnsOf, NOW } from '../statements/bulk-insert.ts'
import { chunksOf } from '../statements/chunks.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'
import type { Recording } from './recording.ts'

/** The maximum number of events that a row has. Readers rely on this; see `EventStore.after`. */
export const MAX_ROW_EVENTS = 2_000
/** The maximum number of characters in a row, unless a single group of changes is longer. */
const MAX_ROW_CHARS = 262_144
/** The maximum number of ids in one statement. */
const CHUNK = 1_000
const MAX_ERROR = 200

type Touched = 'runs' | 'windows' | 'windowsOf' | 'backfills' | 'batches'

/** The changes of one transaction so far. */
class Notes {
  readonly #packed: Packed[] = []
  readonly #touched = new Map<Touched, Set<number>>()

  get isEmpty(): boolean {
    return this.#packed.length === 0 && this.#touched.size === 0
  }

  add(packed: Packed): void {
    if (sizeOf(packed) > 0) this.#packed.push(packed)
  }

  touch(what: Touched, ids: Iterable<number>): void {
    const known = this.#touched.get(what) ?? new Set()
    for (const id of ids) known.add(id)
    if (known.size > 0) this.#touched.set(what, known)
  }

  /** Returns the noted changes, and the current content of the noted rows. */
  async packed(trx: Kysely<Tables>, dialect: Dialect): Promise<readonly Packed[]> {
    if (this.#touched.size === 0) return this.#packed
    const groups = [...this.#packed]
    for (const ids of this.#chunks('runs')) groups.push(...(await runsNow(trx, dialect, ids)))
    for (const ids of this.#chunks('windows')) groups.push(...(await windowsNow(trx, dialect, 'id', ids)))
    for (const ids of this.#chunks('windowsOf')) groups.push(...(await windowsNow(trx, dialect, 'run_id', ids)))
    for (const ids of this.#chunks('backfills')) {
      const rows = await trx
        .selectFrom('piko_backfill')
        .select(['id', 'job_id', 'state'])
        .where('id', 'in', ids)
        .execute()
      groups.push(
        ...rows.map(({ id, job_id: jobId, state }) => ({ kind: 'backfill' as const, backfillId: id, jobId, state })),
      )
    }
    for (const ids of this.#chunks('batches')) {
      const rows = await trx.selectFrom('piko_batch').select(['id', 'job_id', 'state']).where('id', 'in', ids).execute()
      groups.push(
        ...rows.map(({ id, job_id: jobId, state }) => ({ kind: 'batch' as const, batchId: id, jobId, state })),
      )
    }
    return groups
  }

  #chunks(what: Touched): Generator<number[]> {
    return chunksOf([...(this.#touched.get(what) ?? [])], CHUNK)
  }
}

const open = new WeakMap<object, { readonly notes: Notes; readonly recording: Recording }>()

/**
 * Runs `fn` in its transaction, then stores the changes that were noted during `fn`. So an event exists only if its change was committed,
 * and there is little time between the insertion of its row and the commit.
 */
export async function noted<T>(
  trx: Kysely<Tables>,
  dialect: Dialect,
  recording: Recording,
  fn: () => Promise<T>,
): Promise<T> {
  const notes = new Notes()
  open.set(trx, { notes, recording })
  const value = await fn()
  open.delete(trx)
  if (!notes.isEmpty) await insertEvents(trx, dialect, await notes.packed(trx, dialect))
  return value
}

function notesOf(trx: object): Notes | undefined {
  const known = open.get(trx)
  return known?.recording.isOn ? known.notes : undefined
}

/** Notes a change for the readers of events. `packed` is called only if events are recorded. */
export function note(trx: object, packed: () => readonly Packed[]): void {
  const notes = notesOf(trx)
  if (notes) for (const one of packed()) notes.add(one)
}

/** Notes rows with a new state. They are read at the end of the transaction, so readers see their final state. */
export function noteRows(trx: object, what: Touched, ids: Iterable<number>): void {
  notesOf(trx)?.touch(what, ids)
}

/**
 * Notes changes that were stored without a transaction, if a reader of events has come while their statement waited for the database.
 * Nobody waits for these notes, and their errors are dropped, because the changes are stored whether or not they can be noted.
 */
export function noteLate(
  {
    recording,
    transaction,
  }: {
    readonly recording: Recording
    readonly transaction: (fn: (trx: Kysely<Tables>) => Promise<void>) => Promise<void>
  },
  notes: (trx: Kysely<Tables>) => void,
): void {
  if (recording.isOn) void transaction(async (trx) => notes(trx)).catch(() => {})
}

async function insertEvents(trx: Kysely<Tables>, dialect: Dialect, packed: readonly Packed[]): Promise<void> {
  // Each row has its own statement, because a row may be large and usually there is only one.
  for (const row of eventRows(packed)) await trx.executeQuery(insertEvent(dialect, row))
}

export interface EventRow {
  readonly size: number
  readonly body: string
}

/** Divides changes into rows of limited size. */
export function eventRows(packed: readonly Packed[]): EventRow[] {
  const rows: EventRow[] = []
  let texts: string[] = []
  let [size, chars] = [0, 0]
  const end = (): void => {
    if (size > 0) rows.push({ size, body: `[${texts.join(',')}]` })
    texts = []
    ;[size, chars] = [0, 0]
  }
  for (const whole of packed) {
    for (const part of parts(whole, MAX_ROW_EVENTS / 2)) {
      const text = JSON.stringify(part)
      const own = sizeOf(part)
      if (size + own > MAX_ROW_EVENTS || chars + text.length > MAX_ROW_CHARS) end()
      texts.push(text)
      size += own
      chars += text.length
    }
  }
  end()
  return rows
}

const COLUMNS = ['size', 'body', 'created_at'] as const

export function insertEvent(dialect: Dialect, { size, body }: EventRow) {
  const cells: Cell[] = [size, body, NOW]
  return bulkInsert(dialect, 'piko_event', columnsOf(COLUMNS, [cells]))
}

async function runsNow(trx: Kysely<Tables>, dialect: Dialect, ids: readonly number[]): Promise<RunGroup[]> {
  const rows = await trx
    .selectFrom('piko_run')
    .select(['id', 'job_id', 'state', 'attempt', 'node_id', 'run_at', 'error'])
    .select(sql<number>`CASE WHEN cancel_requested_at IS NULL THEN 0 ELSE 1 END`.as('is_cancelled'))
    .select(sql<number>`CASE WHEN run_at > ${dialect.now()} THEN 1 ELSE 0 END`.as('is_later'))
    .where('id', 'in', ids)
    .orderBy('id')
    .execute()
  const groups = Map.groupBy(rows, (row) => `${row.state} ${row.node_id ?? ''} ${row.job_id}`)
  return [...groups.values()].flatMap((some) => {
    const [first] = some
    if (!first) return []
    const runs = some.map((row): PackedRun => {
      const facts = {
        ...(row.state === 'queued' && Number(row.is_later) === 1 && { runAt: instantText(dialect, row.run_at) }),
        ...(row.error !== null && { error: errorText(row.error) }),
        ...(row.state === 'running' && Number(row.is_cancelled) === 1 && { isCancelRequested: true }),
      }
      return Object.keys(facts).length > 0 ? [row.id, row.attempt, facts] : [row.id, row.attempt]
    })
    return [{ runs, jobId: first.job_id, state: first.state, ...(first.node_id !== null && { nodeId: first.node_id }) }]
  })
}

function instantText(dialect: Dialect, value: Date | string): string {
  try {
    return dialect.date(value).toISOString()
  } catch {
    // A person has written this value. The readers of the row report it.
    return String(value)
  }
}

function errorText(json: string): string {
  try {
    return storedMessage(json).slice(0, MAX_ERROR)
  } catch {
    // A person has edited the error, so it is not valid JSON.
    return json.slice(0, MAX_ERROR)
  }
}

async function windowsNow(
  trx: Kysely<Tables>,
  dialect: Dialect,
  by: 'id' | 'run_id',
  ids: readonly number[],
): Promise<Packed[]> {
  const rows = await trx
    .selectFrom('piko_window')
    .select(['job_id', 'start_at', 'end_at', 'state', 'run_id'])
    .where(by, 'in', ids)
    .execute()
  const readable = rows.flatMap((row) => {
    try {
      const [start, end] = [dialect.date(row.start_at).getTime(), dialect.date(row.end_at).getTime()]
      const window: PackedWindow = row.run_id === null ? [start, end, row.state] : [start, end, row.state, row.run_id]
      return [{ jobId: row.job_id, window }]
    } catch {
      // A person has written this value. The readers of the row report it.
      return []
    }
  })
  const byJob = Map.groupBy(readable, ({ jobId }) => jobId)
  return [...byJob].map(([jobId, some]) => ({ jobId, windows: some.map(({ window }) => window) }))
}

/** Groups claims with the same new state by job. */
export function runGroups(
  claims: readonly { readonly jobId: string; readonly runId: number; readonly attempt: number }[],
  state: RunGroup['state'],
  nodeId: string | undefined,
): Packed[] {
  const byJob = new Map<string, PackedRun[]>()
  for (const { jobId, runId, attempt } of claims) {
    const runs = byJob.get(jobId)
    if (runs) runs.push([runId, attempt])
    else byJob.set(jobId, [[runId, attempt]])
  }
  return [...byJob].map(([jobId, runs]) => ({ runs, jobId, state, ...(nodeId !== undefined && { nodeId }) }))
}
