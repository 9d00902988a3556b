import { chainOf, messageOf, propertyOf } from '../../errors-read.ts'
import { isPikoError, PikoError, toError } from '../../errors.ts'

/** What MySQL answers to a statement for which the user has no right. */
const DENIED: ReadonlySet<unknown> = new Set([
  1044, // to a database
  1142, // to a table
  1143, // to a column
  1227, // a global right
])

const RIGHTS = 'SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP'

/** What to do about a statement that the database user may not execute; undefined: it failed for something else. */
export function rightsAdvice(error: unknown, location: string): string | undefined {
  const denied = chainOf(error).find((one) => DENIED.has(propertyOf(one, 'errno')))
  if (denied === undefined) return undefined
  const user = userOf(messageOf(denied))
  const database = quoted(location.slice(location.lastIndexOf('/') + 1))
  return (
    `give the user the missing right: GRANT ${RIGHTS} ON ${database}.* TO ${user}; or migrate as another user, with ` +
    'PIKO_MYSQL__DSN of that user before piko migrate up, and set [piko] auto_migrate = false for this one, which then needs ' +
    'SELECT, INSERT, UPDATE and DELETE only'
  )
}

/** A migration that failed before its first statement, for want of a right; any other error as it is. */
export function asMigrationFailure(error: unknown, { location }: { readonly location: string }): unknown {
  const advice = isPikoError(error, 'MIGRATION_FAILED') ? undefined : rightsAdvice(error, location)
  if (advice === undefined) return error
  const { message } = toError(serversAnswer(error))
  return new PikoError(
    'MIGRATION_FAILED',
    `the schema of ${location} can't be looked at or changed: ${message}; ${advice}`,
    {
      cause: error,
      details: { location },
    },
  )
}

/** Of these, those that a statement of Piko's daily work may meet. */
const DENIED_AT_WORK: ReadonlySet<unknown> = new Set([1044, 1142, 1143])

/** All that a node needs. */
const DAILY_RIGHTS = 'SELECT, INSERT, UPDATE, DELETE'

/**
 * `DATABASE_DENIED` with the GRANT, in place of the server's answer to a statement for which the user has no right; any other error as it
 * is.
 *
 * @param database that of the connection
 */
export function withMissingRight(error: unknown, database: string): unknown {
  if (!DENIED_AT_WORK.has(propertyOf(error, 'errno'))) return error
  const message = messageOf(error)
  const user = userOf(message)
  // `SELECT, UPDATE command denied to user … for table …`; of a whole database the server says only that it is denied.
  const right = /^([A-Z ,]{1,100}) command denied/.exec(message)?.[1] ?? DAILY_RIGHTS
  return new PikoError(
    'DATABASE_DENIED',
    `MySQL refuses a statement for want of a right: ${message}; give it with GRANT ${right} ON ${quoted(database)}.* TO ${user}; ` +
      `a node needs ${DAILY_RIGHTS} on Piko's tables`,
    { cause: error, details: { database, right, user } },
  )
}

/** What the server said, where it was replaced by `DATABASE_DENIED`. */
export function serversAnswer(error: unknown): unknown {
  return isPikoError(error, 'DATABASE_DENIED') ? error.cause : error
}

function userOf(message: string): string {
  return /'[^']*'@'[^']*'/.exec(message)?.[0] ?? 'the user of the DSN'
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}
