import { chainOf, messageOf, propertyOf } from '../../../errors-read.ts'
import { isPikoError, PikoError, toError } from '../../../errors.ts'

/** MySQL's errors for a user who is not allowed to execute a statement. */
const DENIED: ReadonlySet<unknown> = new Set([
  1044, // to a database
  1142, // to a table
  1143, // to a column
  1227, // a global privilege
])

const RIGHTS = 'SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP'

/** Returns advice for a statement that the database user is not allowed to execute. Undefined if it failed for another reason. */
export function rightsAdvice(error: unknown, location: string): string | undefined {
  const denied = chainOf(error).find((one) => DENIED.has(propertyOf(one, 'errno')))
  if (denied === undefined) return undefined
  const user = userOf(messageOf(denied))
  const database = quoted(location.slice(location.lastIndexOf('/') + 1))
  return (
    `grant the user the missing privilege: GRANT ${RIGHTS} ON ${database}.* TO ${user}; or migrate as another user: set ` +
    'PIKO_MYSQL__DSN to that user for piko migrate up, and [piko] auto_migrate = false for this user, who then needs only ' +
    'SELECT, INSERT, UPDATE and DELETE'
  )
}

/**
 * If a migration failed before its first statement because of a missing privilege, converts its error to `MIGRATION_FAILED`. Returns any
 * other error unchanged.
 */
export function asMigrationFailure(error: unknown, { location }: { readonly location: string }): unknown {
  const advice = isPikoError(error, 'MIGRATION_FAILED') ? undefined : rightsAdvice(error, location)
  if (advice === undefined) return error
  const { message } = toError(serversAnswer(error))
  return new PikoError(
    'MIGRATION_FAILED',
    `the schema of ${location} can't be read or changed: ${message}; ${advice}`,
    {
      cause: error,
      details: { location },
    },
  )
}

/** The errors for a missing privilege that statements of a running node may cause. */
const DENIED_AT_WORK: ReadonlySet<unknown> = new Set([1044, 1142, 1143])

/** All the privileges that a node needs if it does not migrate. */
const DAILY_RIGHTS = 'SELECT, INSERT, UPDATE, DELETE'

/**
 * Converts the server's error for a missing privilege to `DATABASE_DENIED` with the GRANT statement. Returns any other error unchanged.
 *
 * @param database the database of the connection
 */
export function withMissingRight(error: unknown, database: string): unknown {
  if (!DENIED_AT_WORK.has(propertyOf(error, 'errno'))) return error
  const message = messageOf(error)
  const user = userOf(message)
  // The message is `SELECT, UPDATE command denied to user … for table …`. For a whole database it does not name the privilege.
  const right = /^([A-Z ,]{1,100}) command denied/.exec(message)?.[1] ?? DAILY_RIGHTS
  return new PikoError(
    'DATABASE_DENIED',
    `MySQL refused a statement because a privilege is missing: ${message}; grant it: GRANT ${right} ON ${quoted(database)}.* TO ${user}; ` +
      `a node needs ${DAILY_RIGHTS} on Piko's tables`,
    { cause: error, details: { database, right, user } },
  )
}

/** Returns the server's own error if `DATABASE_DENIED` has replaced it, otherwise the error itself. */
export function serversAnswer(error: unknown): unknown {
  return isPikoError(error, 'DATABASE_DENIED') ? error.cause : error
}

function userOf(message: string): string {
  return /'[^']*'@'[^']*'/.exec(message)?.[0] ?? 'the user of the DSN'
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}
