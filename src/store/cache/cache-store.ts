import { createHash } from 'node:crypto'
import { type ExpressionBuilder, sql } from 'kysely'
import type { CacheLevel, LevelEntry, SeenVersion } from '../../job/cached-value.ts'
import type { Database } from '../connection/database.ts'
import { chunksOf } from '../statements/chunks.ts'
import type { Tables } from '../tables.ts'

/** How many entries a cache has in the database, and their size. */
export interface CacheFigures {
  readonly name: string
  /** How many entries are usable. */
  readonly entries: number
  /** How many of the usable entries are stale. */
  readonly stale: number
  readonly bytes: number
  /** How many entries have no usable value: they are expired, deleted, or being loaded for the first time. */
  readonly other: number
}

/** How many entries a statement reads or deletes. The number is small, because SQLite statements block the event loop. */
const PAGE = 500
/** The maximum number of values that one statement reads. The number is small, because a value may be up to 1 MB in size. */
const READ_PAGE = { mysql: 100, sqlite: 16 } as const

/**
 * The cache level in the database, which all nodes share. A write that passes the version it has seen succeeds only if that version is
 * still current (compare-and-set).
 */
export class CacheStore implements CacheLevel {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async read(space: string, keys: readonly string[], step: () => void = () => {}): Promise<Map<string, LevelEntry>> {
    const { db, dialect } = this.#database
    const found = new Map<string, LevelEntry>()
    for (const some of chunksOf(keys, READ_PAGE[dialect.name])) {
      const prints = printsOf(some)
      const rows = await db
        .selectFrom('piko_cache')
        .select(['print', 'value', 'version', 'stale_at', 'expires_at', dialect.now().as('read_at')])
        .where('space', '=', space)
        .where('print', 'in', [...prints.values()])
        .execute()
      const byPrint = new Map(rows.map((row) => [hexOf(row.print), row]))
      for (const [key, print] of prints) {
        const row = byPrint.get(hexOf(print))
        if (!row) continue
        const now = dialect.date(row.read_at).getTime()
        found.set(key, {
          bytes: row.value ?? undefined,
          version: Number(row.version),
          freshMs: dialect.date(row.stale_at).getTime() - now,
          leftMs: dialect.date(row.expires_at).getTime() - now,
        })
      }
      step()
    }
    return found
  }

  async versions(space: string, keys: readonly string[]): Promise<Map<string, number>> {
    const found = new Map<string, number>()
    for (const some of chunksOf(keys, PAGE)) {
      const prints = printsOf(some)
      const rows = await this.#database.db
        .selectFrom('piko_cache')
        .select(['print', 'version'])
        .where('space', '=', space)
        .where('print', 'in', [...prints.values()])
        .execute()
      const byPrint = new Map(rows.map(({ print, version }) => [hexOf(print), Number(version)]))
      for (const [key, print] of prints) {
        const version = byPrint.get(hexOf(print))
        if (version !== undefined) found.set(key, version)
      }
    }
    return found
  }

  async write(space: string, key: string, entry: LevelEntry, seen?: SeenVersion): Promise<boolean> {
    const { db, dialect, maxValueBytes } = this.#database
    const { bytes, version, freshMs, leftMs } = entry
    if (bytes && bytes.byteLength > maxValueBytes) return false
    const content = {
      value: bytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : null,
      version,
      stale_at: dialect.nowPlus(freshMs),
      expires_at: dialect.nowPlus(leftMs),
      loader: null,
      loading_until: null,
    }
    if (typeof seen === 'number') {
      const { numUpdatedRows } = await this.#database.retry(() =>
        this.#row(space, key).set(content).where('version', '=', seen).executeTakeFirstOrThrow(),
      )
      return numUpdatedRows > 0n
    }
    const insert = db.insertInto('piko_cache').values({ space, print: printOf(key), cache_key: key, ...content })
    if (seen === 'none') {
      const { numInsertedOrUpdatedRows = 0n } = await this.#database.retry(() =>
        dialect.insertIgnore(insert).executeTakeFirstOrThrow(),
      )
      return numInsertedOrUpdatedRows > 0n
    }
    const upsert =
      dialect.name === 'mysql'
        ? insert.onDuplicateKeyUpdate(content)
        : insert.onConflict((oc) => oc.columns(['space', 'print']).doUpdateSet(content))
    await this.#database.retry(() => upsert.execute())
    return true
  }

  async touch(space: string, key: string, { version, freshMs, leftMs }: Omit<LevelEntry, 'bytes'>): Promise<boolean> {
    const { dialect } = this.#database
    const { numUpdatedRows } = await this.#database.retry(() =>
      this.#row(space, key)
        .set({ stale_at: dialect.nowPlus(freshMs), expires_at: dialect.nowPlus(leftMs) })
        .where('version', '=', version)
        .where('value', 'is not', null)
        .executeTakeFirstOrThrow(),
    )
    return numUpdatedRows > 0n
  }

  async claim(space: string, key: string, owner: string, forMs: number): Promise<boolean> {
    const { db, dialect } = this.#database
    const until = dialect.nowPlus(forMs)
    const { numUpdatedRows } = await this.#database.retry(() =>
      this.#row(space, key)
        // Keeps the entry's times, so that an expired value does not become valid again while it is loaded.
        .set({ loader: owner, loading_until: until })
        .where((eb) =>
          eb.or([eb('loader', 'is', null), eb('loader', '=', owner), eb('loading_until', '<', dialect.now())]),
        )
        .executeTakeFirstOrThrow(),
    )
    if (numUpdatedRows > 0n) return true
    const row = { space, print: printOf(key), cache_key: key, value: null, version: 0, stale_at: dialect.now() }
    const insert = db
      .insertInto('piko_cache')
      .values({ ...row, expires_at: until, loader: owner, loading_until: until })
    const { numInsertedOrUpdatedRows = 0n } = await this.#database.retry(() =>
      dialect.insertIgnore(insert).executeTakeFirstOrThrow(),
    )
    return numInsertedOrUpdatedRows > 0n
  }

  async release(space: string, key: string, owner: string): Promise<void> {
    await this.#database.retry(() =>
      this.#row(space, key).set({ loader: null, loading_until: null }).where('loader', '=', owner).execute(),
    )
  }

  async clear(space: string, prefix: string, step: () => void = () => {}): Promise<number> {
    let count = 0
    for await (const rows of this.#pages(space)) {
      step()
      const chosen = rows.filter((row) => row.cache_key.startsWith(prefix))
      if (chosen.length === 0) continue
      const prints = chosen.map(({ print }) => print)
      await this.#database.retry(() =>
        this.#database.db.deleteFrom('piko_cache').where('space', '=', space).where('print', 'in', prints).execute(),
      )
      count += chosen.filter(({ bytes, is_left }) => bytes !== null && Number(is_left) === 1).length
    }
    return count
  }

  /**
   * Returns the names of caches with entries.
   *
   * @param after only names after this one
   */
  async spaces(limit: number, after = ''): Promise<string[]> {
    const names: string[] = []
    // Finds each name by the primary key, without reading the entries of the other caches.
    while (names.length < limit) {
      const row = await this.#database.db
        .selectFrom('piko_cache')
        .select('space')
        .where('space', '>', names.at(-1) ?? after)
        .orderBy('space')
        .limit(1)
        .executeTakeFirst()
      if (!row) break
      names.push(row.space)
    }
    return names
  }

  /** Counts the entries of a cache, in steps. */
  async figures(space: string): Promise<CacheFigures> {
    const figures = { name: space, entries: 0, stale: 0, bytes: 0, other: 0 }
    for await (const rows of this.#pages(space)) {
      for (const { bytes, is_left, is_fresh } of rows) {
        if (bytes === null || Number(is_left) !== 1) figures.other += 1
        else {
          figures.entries += 1
          figures.bytes += Number(bytes)
          if (Number(is_fresh) !== 1) figures.stale += 1
        }
      }
    }
    return figures
  }

  /** Deletes some expired entries that no process is loading. @returns whether there may be more */
  async prune(): Promise<boolean> {
    const { db, dialect } = this.#database
    const isOver = (eb: ExpressionBuilder<Tables, 'piko_cache'>) =>
      eb.and([
        eb('expires_at', '<', dialect.now()),
        eb.or([eb('loading_until', 'is', null), eb('loading_until', '<', dialect.now())]),
      ])
    const rows = await db
      .selectFrom('piko_cache')
      .select(['space', 'print'])
      .where(isOver)
      .orderBy('expires_at')
      .limit(PAGE)
      .execute()
    for (const [space, some] of Map.groupBy(rows, (row) => row.space)) {
      const prints = some.map(({ print }) => print)
      await this.#database.retry(() =>
        db
          .deleteFrom('piko_cache')
          .where('space', '=', space)
          .where('print', 'in', prints)
          // An entry that was written again or claimed in the meantime stays.
          .where(isOver)
          .execute(),
      )
    }
    return rows.length === PAGE
  }

  async close(): Promise<void> {
    // Nothing to close: the app closes the database.
  }

  #row(space: string, key: string) {
    return this.#database.db.updateTable('piko_cache').where('space', '=', space).where('print', '=', printOf(key))
  }

  async *#pages(space: string) {
    const { db, dialect } = this.#database
    for (let after: Buffer | undefined; ;) {
      const last = after
      const rows = await db
        .selectFrom('piko_cache')
        .select(['print', 'cache_key'])
        .select((eb) => [
          sql<number | null>`OCTET_LENGTH(value)`.as('bytes'),
          eb('expires_at', '>', dialect.now()).as('is_left'),
          eb('stale_at', '>', dialect.now()).as('is_fresh'),
        ])
        .where('space', '=', space)
        .$if(last !== undefined, (query) => query.where('print', '>', last ?? Buffer.alloc(0)))
        .orderBy('print')
        .limit(PAGE)
        .execute()
      yield rows
      after = rows.at(-1)?.print
      if (rows.length < PAGE || !after) return
    }
  }
}

/** Returns the digest by which keys are compared. Some databases would ignore spaces at the end of the keys themselves. */
function printOf(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

function printsOf(keys: readonly string[]): ReadonlyMap<string, Buffer> {
  return new Map(keys.map((key) => [key, printOf(key)]))
}

function hexOf(print: Uint8Array): string {
  return Buffer.from(print.buffer, print.byteOffset, print.byteLength).toString('hex')
}
