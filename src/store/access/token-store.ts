import type { Selectable } from 'kysely'
import type { TokenGrant } from '../../access/token.ts'
import type { Role } from '../../access/actor.ts'
import { fromJson } from '../../json/json.ts'
import { deleteOld } from '../statements/delete-old.ts'
import type { Database } from '../connection/database.ts'
import { optionalDate } from '../runs/run-row.ts'
import { inPages } from '../statements/pages.ts'
import { mapSound } from '../values/map-sound.ts'
import type { TokenTable } from './access-tables.ts'

/** A stored token, without its text. */
export interface TokenRow extends TokenGrant {
  readonly id: number
  readonly createdAt: Date
  readonly revokedAt: Date | undefined
  /** When the token was last used, accurate to a minute; undefined: never. */
  readonly lastUsedAt: Date | undefined
  /** Whether the token is neither revoked nor expired, by the database's clock. */
  readonly isValid: boolean
}

export interface TokenFilter {
  /** Whether to include revoked and expired tokens. Default false. */
  readonly all?: boolean
  readonly role?: Role
  /** The maximum number of tokens. Default 100. */
  readonly limit?: number
  /** Selects only tokens with larger ids. */
  readonly after?: number
}

export interface NewToken extends TokenGrant {
  readonly digest: string
  /** How long the token is valid, by the database's clock. Takes precedence over `expiresAt`. Undefined: `expiresAt` applies. */
  readonly validMs: number | undefined
}

/** How much older than the last use of a token the stored time may be. */
export const USE_LAG_MS = 60_000
const PRUNED_AT_ONCE = 1_000

/** Tokens, and the sessions that browsers have opened with them. Validity is decided by the database's clock. */
export class TokenStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Stores a new token.
   *
   * @returns undefined if another token with this name is not revoked, or if the digest is known
   */
  async create({ digest, name, role, jobs, expiresAt, validMs }: NewToken): Promise<TokenRow | undefined> {
    const { dialect } = this.#database
    try {
      return await this.#database.transaction(async (trx) => {
        await trx
          .insertInto('piko_token')
          .values({
            ...{ digest, name, name_key: name, role },
            jobs: jobs === undefined ? null : JSON.stringify(jobs),
            created_at: dialect.now(),
            expires_at:
              validMs !== undefined ? dialect.nowPlus(validMs) : expiresAt ? dialect.instant(expiresAt) : null,
          })
          .execute()
        const row = await this.#rows(trx).where('digest', '=', digest).executeTakeFirstOrThrow()
        return this.#tokenOf(row)
      })
    } catch (thrown) {
      if (dialect.isDuplicate(thrown)) return undefined
      throw thrown
    }
  }

  /** Returns a token by its id, or by its name if it is not revoked. */
  async find(which: number | string): Promise<TokenRow | undefined> {
    const query = this.#rows()
    const row = await (
      typeof which === 'number' ? query.where('id', '=', which) : query.where('name_key', '=', which)
    ).executeTakeFirst()
    return row && this.#tokenOf(row)
  }

  /** Returns the valid token with this digest. */
  async valid(digest: string): Promise<TokenRow | undefined> {
    const row = await this.#rows().where('digest', '=', digest).executeTakeFirst()
    const token = row && this.#tokenOf(row)
    return token?.isValid ? token : undefined
  }

  /** Whether there is any valid token. */
  async hasValid(): Promise<boolean> {
    const { db, dialect } = this.#database
    const row = await db
      .selectFrom('piko_token')
      .select('id')
      .where('revoked_at', 'is', null)
      .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', dialect.now())]))
      .limit(1)
      .executeTakeFirst()
    return row !== undefined
  }

  /** Lists tokens, oldest first. */
  async list({ all = false, role, limit = 100, after = 0 }: TokenFilter = {}): Promise<TokenRow[]> {
    const { dialect, broken } = this.#database
    const rows = await inPages<TokenReading>(limit, (size, last) =>
      this.#rows()
        .where('id', '>', last?.id ?? after)
        .$if(role !== undefined, (query) => query.where('role', '=', role as Role))
        .$if(!all, (query) =>
          query
            .where('revoked_at', 'is', null)
            .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', dialect.now())])),
        )
        .orderBy('id')
        .limit(size)
        .execute(),
    )
    return mapSound(dialect, 'piko_token', rows, (row) => this.#tokenOf(row), broken.report)
  }

  /**
   * Revokes a token for good, and ends its sessions.
   *
   * @returns false if it was already revoked or does not exist
   */
  async revoke(id: number): Promise<boolean> {
    const { dialect } = this.#database
    return this.#database.transaction(async (trx) => {
      const row = await trx
        .selectFrom('piko_token')
        .select(['digest', 'revoked_at'])
        .where('id', '=', id)
        .modifyEnd(dialect.forUpdate)
        .executeTakeFirst()
      if (!row || row.revoked_at !== null) return false
      await trx
        .updateTable('piko_token')
        .set({ revoked_at: dialect.now(), name_key: null })
        .where('id', '=', id)
        .execute()
      return true
    })
  }

  /** Stores that a token was used, unless a use within the last minute is already stored. */
  async used(id: number): Promise<void> {
    const { db, dialect } = this.#database
    await db
      .updateTable('piko_token')
      .set({ used_at: dialect.now() })
      .where('id', '=', id)
      .where((eb) => eb.or([eb('used_at', 'is', null), eb('used_at', '<=', dialect.nowPlus(-USE_LAG_MS))]))
      .execute()
  }

  /** Opens a session that lasts at most this long. */
  async openSession(digest: string, tokenDigest: string, lengthMs: number): Promise<void> {
    const { db, dialect } = this.#database
    await db
      .insertInto('piko_session')
      .values({
        digest,
        token_digest: tokenDigest,
        created_at: dialect.now(),
        expires_at: dialect.nowPlus(lengthMs),
      })
      .execute()
  }

  /** Returns the digest of a session's token; undefined if the session is unknown or has expired. */
  async sessionToken(digest: string): Promise<string | undefined> {
    const { db, dialect } = this.#database
    const row = await db
      .selectFrom('piko_session')
      .select('token_digest')
      .where('digest', '=', digest)
      .where('expires_at', '>', dialect.now())
      .executeTakeFirst()
    return row?.token_digest
  }

  async closeSession(digest: string): Promise<void> {
    await this.#database.retry(() =>
      this.#database.db.deleteFrom('piko_session').where('digest', '=', digest).execute(),
    )
  }

  /** Deletes some of the sessions that have expired. @returns whether there may be more */
  prune(): Promise<boolean> {
    return deleteOld(
      this.#database,
      { table: 'piko_session', key: 'digest', since: 'expires_at', atOnce: PRUNED_AT_ONCE },
      0,
    )
  }

  #rows(db: Pick<Database['db'], 'selectFrom'> = this.#database.db) {
    return db.selectFrom('piko_token').selectAll().select(this.#database.dialect.now().as('now'))
  }

  #tokenOf(row: TokenReading): TokenRow {
    const { dialect } = this.#database
    const expiresAt = optionalDate(row.expires_at, dialect)
    const revokedAt = optionalDate(row.revoked_at, dialect)
    const jobs = fromJson(row.jobs)
    const isKnown = expiresAt === undefined || expiresAt > dialect.date(row.now)
    return {
      ...{ id: Number(row.id), name: row.name, role: row.role },
      // If the text is not a list, a person has written it. Such a token must not be valid for all jobs.
      jobs: jobs === undefined ? undefined : Array.isArray(jobs) ? jobs.map(String) : [],
      ...{ expiresAt, revokedAt },
      createdAt: dialect.date(row.created_at),
      lastUsedAt: optionalDate(row.used_at, dialect),
      isValid: revokedAt === undefined && isKnown,
    }
  }
}

type TokenReading = Selectable<TokenTable> & { readonly now: Date | string }
