import { statSync } from 'node:fs'
import { CompiledQuery, sql } from 'kysely'
import { PikoError } from '../../errors.ts'
import { messageOf } from '../../errors-read.ts'
import { hasCode } from '../../sql/contention.ts'
import type { Database } from '../connection/database.ts'
import { readDigest, readNumber, unreadable, valuesOf } from './row-values.ts'

/** Runs a statement in the user's transaction and returns its rows. */
export type Statement = (text: string, values: readonly unknown[]) => Promise<readonly unknown[]>

/** The query selects this number in the type of an id, to check whether the driver of the transaction returns ids unchanged. */
const NUMBER = 7
const AS_ID = `LAST_INSERT_ID() - LAST_INSERT_ID() + ${NUMBER}`
const NAME = "LOWER(CONVERT(COALESCE(DATABASE(), '') USING utf8mb4))"
const FIRST_MIGRATION = 'SELECT applied_at FROM piko_migration WHERE version = 1'
/**
 * The name of the connection's current database, which `USE` can change. It is read as a digest, because a digest is the same in any
 * character set.
 */
const CURRENT = "SHA2(CONVERT(COALESCE(DATABASE(), '') USING utf8mb4), 256)"
const MYSQL = `SELECT ${AS_ID}, SHA2(CONCAT(${NAME}, DATE_FORMAT((${FIRST_MIGRATION}), '%Y%m%d%H%i%s%f')), 256), ${CURRENT}`
const MYSQL_NAME = `SELECT ${AS_ID}, SHA2(${NAME}, 256), ${CURRENT}`

/**
 * The query is built with Kysely, so that the driver recognizes it as a read. A read does not wait for the turn to write. The other
 * transaction has that turn, so waiting would never end.
 */
const sqliteQuestion = ({ db }: Database): CompiledQuery =>
  db
    .selectFrom(sql`pragma_database_list`.as('list'))
    .select([sql.ref('file').as('file'), sql`(${sql.raw(FIRST_MIGRATION)})`.as('made')])
    .where(sql.ref('name'), '=', sql.lit('main'))
    .compile()

const DENIED = new Set([1142 /* the table */, 1143 /* a column */])
/** MySQL's error numbers for a missing table, and for no selected database. */
const MISSING = new Set([1146, 1046])

/** The databases that were checked, by connection pool, as digests of their names. On SQLite a pool has only one database. */
const known = new WeakMap<Database, WeakMap<object, Set<string>>>()

function checkedOf(database: Database, pool: object): Set<string> {
  const pools = known.get(database) ?? new WeakMap<object, Set<string>>()
  known.set(database, pools)
  const names = pools.get(pool) ?? new Set()
  pools.set(pool, names)
  return names
}

/**
 * Checks, before anything is written, that a transaction belongs to the app's database and returns numbers unchanged. A run that is stored
 * in another database would never execute.
 *
 * Each connection pool gets one complete check. After that, only the name of the current database is read, because any statement may have
 * changed it with `USE`.
 *
 * @throws PikoError `USAGE`
 */
export async function assertSameDatabase(database: Database, pool: object, statement: Statement): Promise<void> {
  const names = checkedOf(database, pool)
  if (database.dialect.name === 'sqlite') {
    if (names.size === 0) await assertSameFile(database, statement)
    names.add('')
    return
  }
  if (names.size > 0 && names.has(await currentName(statement))) return
  names.add(await assertSameServer(database, statement))
}

async function currentName(statement: Statement): Promise<string> {
  const [[digest] = []] = valuesOf(await statement(`SELECT ${CURRENT}`, []))
  return readDigest(digest)
}

/** MySQL's error number for a subquery that returns several rows. */
const SEVERAL_ROWS = 1242
/** A statement whose result shows whether a transaction is open, and nothing else. */
export const NO_PROBE = 'DO 0'

/**
 * Returns a statement whose result shows whether a transaction is open. The statement returns no rows, because only a result without rows
 * shows this. If databases of this pool were checked before and the connection's current one is not among them, it fails with an error for
 * which {@link isElsewhere} returns true.
 */
export function probeOf(database: Database, pool: object): string {
  const names = [...checkedOf(database, pool)].filter((name) => name !== '')
  if (names.length === 0) return NO_PROBE
  const isOther = `${CURRENT} NOT IN (${names.map((name) => `'${name}'`).join(', ')})`
  return `SET @piko_other_database = (SELECT n FROM (SELECT 1 AS n UNION ALL SELECT 2) AS two WHERE ${isOther})`
}

export function isElsewhere(error: unknown): boolean {
  return hasCode(error, 'errno', (errno) => errno === SEVERAL_ROWS)
}

/**
 * Checks a connection completely if the statement of `probeOf` failed, or if no database was checked before.
 *
 * @throws PikoError `USAGE`
 */
export async function assertSameServerOnce(
  database: Database,
  pool: object,
  statement: Statement,
  isKnown: boolean,
): Promise<void> {
  const names = checkedOf(database, pool)
  if (!isKnown || names.size === 0) names.add(await assertSameServer(database, statement))
}

/**
 * Checks that the connection belongs to the app's database and returns numbers unchanged.
 *
 * @returns the digest of the name of the connection's current database
 * @throws PikoError `USAGE`
 */
async function assertSameServer(database: Database, statement: Statement): Promise<string> {
  for (const text of [MYSQL, MYSQL_NAME]) {
    const theirs = await answerOf(database, statement, text)
    // A user may have the privilege to write runs but not the one to read migrations. The second statement does not need that privilege.
    if (!theirs) continue
    const [number, digest, name] = theirs
    if (readNumber(number, NUMBER) !== NUMBER) throw unreadable(number)
    if (readDigest(digest) !== readDigest((await ownAnswer(database, CompiledQuery.raw(text)))[1]))
      throw elsewhere(database)
    return readDigest(name)
  }
  throw elsewhere(database)
}

/** Returns the first row of the answer, or undefined if the user lacks a privilege. */
async function answerOf(database: Database, statement: Statement, text: string): Promise<unknown[] | undefined> {
  try {
    return valuesOf(await statement(text, []))[0] ?? []
  } catch (error) {
    if (hasCode(error, 'errno', (errno) => DENIED.has(errno))) return undefined
    const isMissing = hasCode(error, 'errno', (errno) => MISSING.has(errno)) || messageOf(error).includes(NO_TABLE)
    throw isMissing ? elsewhere(database, error) : error
  }
}

const NO_TABLE = 'no such table'

async function assertSameFile(database: Database, statement: Statement): Promise<void> {
  const question = sqliteQuestion(database)
  const [file, made] = (await answerOf(database, statement, question.sql)) ?? []
  const [ownFile, ownMade] = await ownAnswer(database, question)
  if (made !== ownMade || !isSameFile(file, ownFile)) throw elsewhere(database)
}

/** Whether both paths lead to the same file, even if one of them is a link. */
function isSameFile(one: unknown, other: unknown): boolean {
  if (one === other) return true
  const [a, b] = [one, other].map((path) =>
    typeof path === 'string' && path !== '' ? statSync(path, { throwIfNoEntry: false }) : undefined,
  )
  return a !== undefined && a.dev === b?.dev && a.ino === b.ino
}

async function ownAnswer({ db }: Database, question: CompiledQuery): Promise<unknown[]> {
  return valuesOf((await db.executeQuery(question)).rows)[0] ?? []
}

function elsewhere({ location }: Database, cause?: unknown): PikoError {
  return new PikoError(
    'USAGE',
    `trx is a transaction of a database other than ${location}, which the app uses: no node would execute the run; pass a transaction of that database`,
    { cause },
  )
}
