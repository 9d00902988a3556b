import { isPikoError, PikoError, toError } from '../errors.ts'
import { type Database } from './database.ts'

/** What MySQL answers to a statement for which the user has no right. */
const DENIED = new Set([
  1044, // to a database
  1142, // to a table
  1143, // to a column
  1227, // a global right
])

const RIGHTS = 'SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP'

/** What to do about a statement that the database user may not execute; undefined: it failed for something else. */
export function rightsAdvice(error: unknown, location: string): string | undefined {
  const { errno } = error as { readonly errno?: unknown }
  if (typeof errno !== 'number' || !DENIED.has(errno)) return undefined
  const user = /'[^']*'@'[^']*'/.exec(toError(error).message)?.[0] ?? 'the user of the DSN'
  const database = location.slice(location.lastIndexOf('/') + 1).replaceAll('`', '``')
  return (
    `give the user the missing right: GRANT ${RIGHTS} ON \`${database}\`.* TO ${user}; or migrate as another user, with ` +
    'PIKO_MYSQL__DSN of that user before piko migrate up, and set [piko] auto_migrate = false for this one, which then needs ' +
    'SELECT, INSERT, UPDATE and DELETE only'
  )
}

/** A migration that failed before its first statement, for want of a right; any other error as it is. */
export function asMigrationFailure(error: unknown, { location }: Pick<Database, 'location'>): unknown {
  const advice = isPikoError(error) ? undefined : rightsAdvice(error, location)
  if (advice === undefined) return error
  const { message } = toError(error)
  return new PikoError(
    'MIGRATION_FAILED',
    `the schema of ${location} can't be looked at or changed: ${message}; ${advice}`,
    {
      cause: error,
      details: { location },
    },
  )
}
