import type { RightsFacts } from '../../../store/doctor/rights-facts.ts'
import { check } from '../check.ts'
import { type Finding, namesText } from '../finding.ts'

const DAILY = ['SELECT', 'INSERT', 'UPDATE', 'DELETE']
const MIGRATING = ['CREATE', 'ALTER', 'INDEX', 'DROP']

/** Finds privileges that the user of the DSN does not have, and files that this process is not allowed to write to. */
export const rights = check({
  id: 'rights',
  needs: ['rights', 'settings'],
  find: ({ rights: facts, settings: { settings } }) => {
    const { user, database, unknownRoles } = facts
    if (user === '') return unwritable(facts)
    if (unknownRoles.length > 0) return []
    const findings: Finding[] = []
    const lacking = missingRights(facts, DAILY)
    if (lacking.length > 0) {
      findings.push({
        id: 'rights.daily',
        severity: 'error',
        found: `${user} lacks ${lacking.join(', ')} on \`${database}\`; a node needs ${DAILY.join(', ')}`,
        remedy: `GRANT ${lacking.join(', ')} ON \`${database}\`.* TO ${user}`,
      })
    }
    const ddl = settings.piko.autoMigrate ? missingRights({ ...facts, tables: [] }, MIGRATING) : []
    if (ddl.length > 0) {
      findings.push({
        id: 'rights.migrate',
        severity: 'warning',
        found: `${user} lacks ${ddl.join(', ')} on \`${database}\`, and [piko] auto_migrate is true: the next version can't migrate the schema`,
        remedy: `GRANT ${ddl.join(', ')} ON \`${database}\`.* TO ${user}; or set [piko] auto_migrate = false and migrate as another user: PIKO_MYSQL__DSN=… piko migrate up`,
      })
    }
    return findings
  },
})

function unwritable({ unwritable: paths, database }: RightsFacts): Finding[] {
  if (paths.length === 0) return []
  return [
    {
      id: 'rights.file',
      severity: 'error',
      found: `this user is not allowed to write to ${namesText(paths)}: nothing can be stored in ${database}`,
      remedy: `chown $(id -u) ${paths.join(' ')}; chmod u+w ${paths.join(' ')}`,
    },
  ]
}

interface Grant {
  readonly isRevoke: boolean
  readonly privileges: ReadonlySet<string>
  /** The database for which the privileges are granted: `*`, a name, or a pattern with `_` and `%`. */
  readonly database: string
  /** The table for which the privileges are granted: `*` or a name. */
  readonly table: string
}

/**
 * Returns the wanted privileges that `SHOW GRANTS` does not show for the whole database. A privilege on each of Piko's tables is also
 * enough. Pure.
 */
export function missingRights(
  { grants, database, tables }: Pick<RightsFacts, 'grants' | 'database' | 'tables'>,
  wanted: readonly string[],
): string[] {
  const read = grants.flatMap(grantOf)
  const gives = (grant: Grant, right: string): boolean =>
    grant.privileges.has(right) || grant.privileges.has('ALL PRIVILEGES') || grant.privileges.has('ALL')
  return wanted.filter((right) => {
    const giving = read.filter((grant) => gives(grant, right))
    const onDatabase = ({ database: pattern, table }: Grant): boolean =>
      table === '*' && (pattern === '*' || isLike(database, pattern))
    if (giving.some((grant) => !grant.isRevoke && onDatabase(grant)))
      return giving.some((grant) => grant.isRevoke && grant.database !== '*' && onDatabase(grant))
    const known = new Set(
      giving.filter((grant) => !grant.isRevoke && isLike(database, grant.database)).map(({ table }) => table),
    )
    return tables.length === 0 || !tables.every((table) => known.has(table))
  })
}

/**
 * Reads a line such as GRANT SELECT, INSERT ON `piko`.* TO `piko`@`%`. Privileges on single columns are ignored, because they do not cover
 * the whole table.
 */
function grantOf(line: string): Grant[] {
  const pattern = /^(GRANT|REVOKE) (.+?) ON (?:TABLE )?(\*|[`"]?.+?[`"]?)\.(\*|[`"]?[^`"]+[`"]?) (?:TO|FROM) /i
  const [, verb = '', list = '', database = '', table = ''] = pattern.exec(line) ?? []
  if (verb === '') return []
  const privileges = list
    .replaceAll(/\b[A-Z ]+\([^)]*\)/gi, '')
    .split(',')
    .map((one) => one.trim().toUpperCase())
  return [
    {
      isRevoke: verb.toUpperCase() === 'REVOKE',
      privileges: new Set(privileges),
      database: unquoted(database),
      table: unquoted(table),
    },
  ]
}

const unquoted = (name: string): string => name.replaceAll(/^[`"]|[`"]$/g, '').replaceAll('``', '`')

/** Whether a name matches a pattern of `LIKE`. */
function isLike(name: string, pattern: string): boolean {
  const source = pattern.replaceAll(
    /\\(.)|([%_])|([^\w\s])/g,
    (_all, escaped?: string, wild?: string, other?: string) =>
      escaped === undefined
        ? wild === '%'
          ? '.*'
          : wild === '_'
            ? '.'
            : `\\${other ?? ''}`
        : escaped.replace(/\W/, '\\$&'),
  )
  return new RegExp(`^${source}$`, 'i').test(name)
}
