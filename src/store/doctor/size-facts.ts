import { statSync } from 'node:fs'
import { sql } from 'kysely'
import type { RunState } from '../../run/run.ts'
import type { Database } from '../connection/database.ts'

export interface TableSize {
  readonly name: string
  /** About how many rows the table has. */
  readonly rows: number | undefined
  readonly bytes: number
}

export interface SizeFacts {
  readonly store: 'mysql' | 'sqlite'
  /** The tables, the largest first. Empty on SQLite. */
  readonly tables: readonly TableSize[]
  readonly totalBytes: number
  /** The size of an SQLite file's write-ahead log; 0 on MySQL. */
  readonly walBytes: number
  /** The total size of an SQLite file's unused pages; 0 on MySQL. */
  readonly freeBytes: number
  /** The oldest runs that are stored, by id. */
  readonly oldest: readonly OldRun[]
}

export interface OldRun {
  readonly state: RunState
  /** How many milliseconds ago the run ended. Undefined if it has not ended. */
  readonly endedAgoMs: number | undefined
}

/** How many runs are read to find out whether old ones are deleted. */
const OLDEST = 200

export async function sizeFacts(database: Database): Promise<SizeFacts> {
  const { db, dialect } = database
  const { now } = await db.selectNoFrom(dialect.now().as('now')).executeTakeFirstOrThrow()
  const rows = await db.selectFrom('piko_run').select(['state', 'finished_at']).orderBy('id').limit(OLDEST).execute()
  const nowMs = dialect.date(now).getTime()
  const oldest = rows.map(({ state, finished_at: at }) => ({ state, endedAgoMs: agoMs(dialect, at, nowMs) }))
  const sizes = dialect.name === 'mysql' ? await mysqlSizes(database) : await fileSizes(database)
  return { store: dialect.name, ...sizes, oldest }
}

/** Returns how long ago an instant was, in milliseconds. Undefined if it is null or can't be read. */
function agoMs(dialect: Database['dialect'], at: Date | string | null, nowMs: number): number | undefined {
  try {
    return at === null ? undefined : nowMs - dialect.date(at).getTime()
  } catch {
    return undefined
  }
}

type Sizes = Omit<SizeFacts, 'store' | 'oldest'>

async function mysqlSizes({ db }: Database): Promise<Sizes> {
  const { rows } = await sql<{ name: string; rows: number | null; bytes: number | null }>`
    SELECT TABLE_NAME AS name, TABLE_ROWS AS 'rows', DATA_LENGTH + INDEX_LENGTH AS bytes FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'piko\\_%' ORDER BY bytes DESC`.execute(db)
  const tables = rows.map((row) => ({ name: row.name, rows: Number(row.rows ?? 0), bytes: Number(row.bytes ?? 0) }))
  return { tables, totalBytes: tables.reduce((sum, { bytes }) => sum + bytes, 0), walBytes: 0, freeBytes: 0 }
}

async function fileSizes({ db, files }: Database): Promise<Sizes> {
  const { rows } = await sql<{ pages: number; free: number; size: number }>`
    SELECT (SELECT page_count FROM pragma_page_count) AS pages, (SELECT freelist_count FROM pragma_freelist_count) AS free,
      (SELECT page_size FROM pragma_page_size) AS size`.execute(db)
  const { pages = 0, free = 0, size = 0 } = rows[0] ?? {}
  const wal = files.find(({ path }) => path.endsWith('-wal'))
  const walBytes = wal ? (statSync(wal.path, { throwIfNoEntry: false })?.size ?? 0) : 0
  return { tables: [], totalBytes: pages * size, walBytes, freeBytes: free * size }
}
