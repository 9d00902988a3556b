import { type Selectable, sql } from 'kysely'
import { MAX_LEASE_MS } from '../../settings/max-lease.ts'
import { assertSound } from '../values/broken-row.ts'
import type { Database } from '../connection/database.ts'
import type { LockTable } from '../tables.ts'
import { OddLease } from './odd-lease.ts'

export interface LockHolding {
  readonly name: string
  /** The owner of the lock: a new UUID for each acquisition. */
  readonly owner: string
}

/** Limits for the leases of a lock. */
export interface LeaseLimits {
  /**
   * The longest lease that a holder sets. If a lease ends later than this from now, a person has edited the row or the clock has changed.
   */
  readonly maxMs: number
  /** The remaining time to which a lease that ends too late is shortened, in milliseconds. */
  readonly shortenedMs: number
}

/**
 * Locks with leases. An owner acquires a lock by compare-and-set on the database's clock, and then renews it. The fence increases only when
 * the owner changes, so it stays the same after a renewal.
 */
export class LockStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Acquires a lock that is free or whose lease has expired. Returns its fence, or undefined if another owner holds it. If a lease ends
   * later than any holder would set it, reports and shortens it. Otherwise a dead owner could keep a lock forever after someone edited its
   * row.
   */
  async acquire(
    name: string,
    owner: string,
    ttlMs: number,
    lease: LeaseLimits = { maxMs: MAX_LEASE_MS, shortenedMs: ttlMs },
  ): Promise<number | undefined> {
    const { db, dialect } = this.#database
    const taken = await this.#database.retry(() =>
      db
        .updateTable('piko_lock')
        .set({ owner, fence: sql`fence + 1`, expires_at: dialect.nowPlus(ttlMs) })
        .where('name', '=', name)
        .where((eb) => eb.or([eb('owner', 'is', null), eb('expires_at', '<', dialect.now())]))
        .executeTakeFirstOrThrow(),
    )
    const row = await db
      .selectFrom('piko_lock')
      .select(['name', 'owner', 'fence', 'expires_at'])
      .select((eb) => eb('expires_at', '>', dialect.nowPlus(lease.maxMs)).as('is_odd'))
      .where('name', '=', name)
      .executeTakeFirst()
    if (!row && (await this.#create(name))) return this.acquire(name, owner, ttlMs, lease)
    if (taken.numUpdatedRows > 0n && row?.owner === owner) return row.fence
    if (row && Number(row.is_odd) === 1) await this.#shorten(row, lease)
    return undefined
  }

  /** Shortens a lease that is too long, and reports it. Uses compare-and-set, so that a simultaneous renewal is not overwritten. */
  async #shorten(
    { name, owner, fence, expires_at }: Pick<Selectable<LockTable>, 'name' | 'owner' | 'fence' | 'expires_at'>,
    { maxMs, shortenedMs }: LeaseLimits,
  ): Promise<void> {
    const { db, dialect, broken } = this.#database
    const { numUpdatedRows } = await this.#database.retry(() =>
      db
        .updateTable('piko_lock')
        .set({ expires_at: dialect.nowPlus(shortenedMs) })
        .where('name', '=', name)
        .where('owner', '=', owner)
        .where('fence', '=', fence)
        .where('expires_at', '>', dialect.nowPlus(maxMs))
        .executeTakeFirstOrThrow(),
    )
    if (numUpdatedRows === 0n) return
    const terms = { maxMs, endsInMs: shortenedMs, remedy: 'owner = NULL' }
    broken.report(new OddLease(dialect, 'piko_lock', { name, expires_at }, terms))
  }

  /** Renews a lock. Returns false if the lock is lost. */
  async renew(name: string, owner: string, fence: number, ttlMs: number): Promise<boolean> {
    const { db, dialect } = this.#database
    const { numUpdatedRows } = await this.#database.retry(() =>
      db
        .updateTable('piko_lock')
        .set({ expires_at: dialect.nowPlus(ttlMs) })
        .where('name', '=', name)
        .where('owner', '=', owner)
        .where('fence', '=', fence)
        .where('expires_at', '>=', dialect.now())
        .executeTakeFirstOrThrow(),
    )
    return numUpdatedRows > 0n
  }

  /** Renews locks whose leases have the same length, in one statement. Returns the owners that still hold their locks. */
  async renewAll(locks: readonly LockHolding[], ttlMs: number): Promise<Set<string>> {
    const { db, dialect } = this.#database
    const owners = locks.map((lock) => lock.owner)
    const names = [...new Set(locks.map((lock) => lock.name))]
    const { numUpdatedRows } = await this.#database.retry(() =>
      db
        .updateTable('piko_lock')
        .set({ expires_at: dialect.nowPlus(ttlMs) })
        .where('name', 'in', names)
        .where('owner', 'in', owners)
        .where('expires_at', '>=', dialect.now())
        .executeTakeFirstOrThrow(),
    )
    if (Number(numUpdatedRows) === locks.length) return new Set(owners)
    const rows = await db
      .selectFrom('piko_lock')
      .select('owner')
      .where('name', 'in', names)
      .where('owner', 'in', owners)
      .where('expires_at', '>=', dialect.now())
      .execute()
    return new Set(rows.flatMap((row) => row.owner ?? []))
  }

  /** Returns the owner of a lock and the end of its lease, or undefined if the lock is free. @throws BrokenRow */
  async holder(name: string): Promise<{ owner: string; expiresAt: Date } | undefined> {
    const { db, dialect } = this.#database
    const row = await db
      .selectFrom('piko_lock')
      .select(['name', 'owner', 'expires_at'])
      .where('name', '=', name)
      .where('expires_at', '>=', dialect.now())
      .executeTakeFirst()
    return row?.owner && assertSound(dialect, 'piko_lock', row)
      ? { owner: row.owner, expiresAt: dialect.date(row.expires_at) }
      : undefined
  }

  /**
   * Returns the fence of a lock; if the lock is held, also its owner and the end of its lease. Undefined if the lock was never acquired.
   *
   * @throws BrokenRow
   */
  async lease(
    name: string,
  ): Promise<{ owner: string | undefined; fence: number; expiresAt: Date | undefined } | undefined> {
    const { db, dialect } = this.#database
    const row = await db
      .selectFrom('piko_lock')
      .select(['name', 'owner', 'fence', 'expires_at'])
      .select((eb) => eb('expires_at', '>=', dialect.now()).as('is_held'))
      .where('name', '=', name)
      .executeTakeFirst()
    if (!row) return undefined
    const { owner, fence, expires_at } = assertSound(dialect, 'piko_lock', row)
    if (owner === null || Number(row.is_held) !== 1) return { owner: undefined, fence, expiresAt: undefined }
    return { owner, fence, expiresAt: dialect.date(expires_at) }
  }

  /**
   * Lists the locks that are currently held, in the order of their names.
   * @param after a name without the prefix; only locks with later names are listed
   * @throws BrokenRow
   */
  async held(prefix: string, limit: number, after = ''): Promise<{ name: string; fence: number; expiresAt: Date }[]> {
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_lock')
      .select(['name', 'fence', 'expires_at'])
      .where('name', 'like', `${prefix}%`)
      // SQLite does not use the index for a pattern, so the names also get a lower bound.
      .where('name', '>', `${prefix}${after}`)
      .where('owner', 'is not', null)
      .where('expires_at', '>=', dialect.now())
      .orderBy('name')
      .limit(limit)
      .execute()
    return rows.map((row) => {
      const { name, fence } = assertSound(dialect, 'piko_lock', row)
      return { name, fence, expiresAt: dialect.date(row.expires_at) }
    })
  }

  async release(name: string, owner: string, fence: number): Promise<void> {
    const { db } = this.#database
    await this.#database.retry(() =>
      db
        .updateTable('piko_lock')
        .set({ owner: null })
        .where('name', '=', name)
        .where('owner', '=', owner)
        .where('fence', '=', fence)
        .execute(),
    )
  }

  /** Releases the locks of owners that are known to be dead. */
  async releaseAll(owners: readonly string[]): Promise<void> {
    if (owners.length === 0) return
    const { db } = this.#database
    await this.#database.retry(() =>
      db.updateTable('piko_lock').set({ owner: null }).where('owner', 'in', owners).execute(),
    )
  }

  /** Inserts the row of a free lock. Does nothing if another node has just inserted it. */
  async #create(name: string): Promise<true> {
    const { db, dialect } = this.#database
    try {
      await db.insertInto('piko_lock').values({ name, owner: null, expires_at: dialect.now() }).execute()
    } catch (error) {
      if (!dialect.isDuplicate(error)) throw error
    }
    return true
  }
}
