import { statSync } from 'node:fs'
import { CompiledQuery, sql } from 'kysely'
import { PikoError } from '../../errors.ts'
import { messageOf } from '../../errors-read.ts'
import { hasCode } from '../../sql/contention.ts'
import type { Database } from '../connection/database.ts'
import { readDigest, readNumber, unreadable, valuesOf } from './row-values.ts'

/** Runs a statement in the user's transaction and returns its rows. */
export type Statement = (text: string, values: readonly unknown[]) => Promise<readonly unknown[]>

/** A number of the same type as ids, and the values that identify a database. */
const NUMBER = 7
const AS_ID = `LAST_INSERT_ID() - LAST_INSERT_ID() + ${NUMBER}`
const NAME = "LOWER(CONVERT(COALESCE(DATABASE(), '') USING utf8mb4))"
const FIRST_MIGRATION = 'SELECT applied_at FROM piko_migration WHERE version = 1'
const MYSQL = `SELECT ${AS_ID}, SHA2(CONCAT(${NAME}, DATE_FORMAT((${FIRST_MIGRATION}), '%Y%m%d%H%i%s%f')), 256)`
const MYSQL_NAME = `SELECT ${AS_ID}, SHA2(${NAME}, 256)`

/**
 * Built with Kysely, so that the driver recognizes a read. A read need not wait for the turn to write, which the other transaction holds.
 */
const sqliteQuestion = ({ db }: Database): CompiledQuery =>
  db
    .selectFrom(sql`pragma_database_list`.as('list'))
    .select([sql.ref('file').as('file'), sql`(${sql.raw(FIRST_MIGRATION)})`.as('made')])
    .where(sql.ref('name'), '=', sql.lit('main'))
    .compile()

const DENIED = new Set([1142 /* the table */, 1143 /* a column */])
/** Errors for a missing table, and for no selected database. */
const MISSING = new Set([1146, 1046])

/** The connection pools already checked, by the database that they lead to. */
const known = new WeakMap<Database, WeakSet<object>>()

/**
 * Checks once per connection pool, before anything is written, that it leads to the app's database and returns numbers unchanged. A run in
 * another database would never execute.
 *
 * @throws PikoError `USAGE`
 */
export async function assertSameDatabase(database: Database, pool: object, statement: Statement): Promise<void> {
  const checked = known.get(database) ?? new WeakSet()
  known.set(database, checked)
  if (checked.has(pool)) return
  await (database.dialect.name === 'mysql'
    ? assertSameServer(database, statement)
    : assertSameFile(database, statement))
  checked.add(pool)
}

async function assertSameServer(database: Database, statement: Statement): Promise<void> {
  for (const text of [MYSQL, MYSQL_NAME]) {
    const theirs = await answerOf(database, statement, text)
    // A user with the right to write runs may lack the right to read migrations.
    if (!theirs) continue
    const [number, digest] = theirs
    if (readNumber(number, NUMBER) !== NUMBER) throw unreadable(number)
    if (readDigest(digest) !== readDigest((await ownAnswer(database, CompiledQuery.raw(text)))[1]))
      throw elsewhere(database)
    return
  }
}

/** Undefined if a right is missing. */
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

/** Whether both are the same file, even if reached by different paths, such as a link. */
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
