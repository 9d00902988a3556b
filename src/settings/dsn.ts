import { PikoError } from '../errors.ts'
import { maskDsn } from './mask.ts'

/** The address of a MySQL or MariaDB server, and the login. */
export interface Dsn {
  readonly host: string
  readonly port: number
  /** The name of the user; empty if the DSN names none. */
  readonly user: string
  readonly password: string
  readonly database: string
  /** The query parameters (`charset`, `ssl`, …), passed on unchanged. If a name is repeated, the last value is used. */
  readonly params: Readonly<Record<string, string>>
}

/** The schemes of a DSN. DSNs of SQLAlchemy are accepted unchanged, and their driver part is ignored. */
const SCHEMES = ['mysql', 'mariadb', 'mysql+aiomysql', 'mysql+asyncmy', 'mysql+pymysql']
const DEFAULT_PORT = 3306
const FORM = 'mysql://user:password@host:3306/database'

/**
 * Reads `mysql://user:password@host:3306/database?charset=utf8mb4`. Percent-decodes user, password and database; the default port is 3306.
 *
 * @throws PikoError `SETTINGS_INVALID`, without the password
 */
export function parseDsn(dsn: string): Dsn {
  const found = inspectDsn(dsn)
  if ('dsn' in found) return found.dsn
  throw new PikoError('SETTINGS_INVALID', `the DSN "${maskDsn(dsn)}" is invalid: ${found.complaint}`, {
    details: { dsn: maskDsn(dsn), expected: found.complaint },
  })
}

/** Returns the parsed DSN, or its problem. The problem never contains a part that could belong to a password. */
export function inspectDsn(text: string): { readonly dsn: Dsn } | { readonly complaint: string } {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? []
  if (scheme === undefined || rest === undefined) return { complaint: `expected ${FORM}` }
  if (!SCHEMES.includes(scheme.toLowerCase())) {
    return { complaint: `its scheme is "${scheme}"; expected one of ${SCHEMES.join(', ')}` }
  }
  const [, authority = '', path = '', query = ''] = /^([^/?#]*)([^?#]*)(.*)$/s.exec(rest) ?? []
  // A raw `/`, `?` or `#` in a password ends the password early. The rest of the password would become the database or a parameter.
  if (`${path}${query}`.includes('@') || query.includes('#')) {
    return { complaint: 'a raw "/", "?", "#" or "@" is in the wrong place; write %2F, %3F, %23 or %40 in a password' }
  }
  const at = authority.lastIndexOf('@')
  const [, host, portText] = /^(\[[\da-f:.]+\]|[^:[\]]*)(?::(.*))?$/is.exec(authority.slice(at + 1)) ?? []
  if (host === undefined) return { complaint: 'its host is malformed; expected host:port or [IPv6 address]:port' }
  if (host === '') return { complaint: `it names no host; expected ${FORM}` }
  const port = portText === undefined ? DEFAULT_PORT : /^\d{1,5}$/.test(portText) ? Number(portText) : 0
  if (port < 1 || port > 65_535) return { complaint: 'its port is not a number from 1 to 65535' }
  const database = path.slice(1)
  if (database === '') return { complaint: `it names no database; expected ${FORM}` }
  if (database.includes('/')) return { complaint: `its path has more than one part; expected ${FORM}` }
  const credentials = authority.slice(0, Math.max(at, 0))
  const colon = credentials.indexOf(':')
  try {
    return {
      dsn: {
        host: host.startsWith('[') ? host.slice(1, -1) : host,
        port,
        user: decodeURIComponent(colon < 0 ? credentials : credentials.slice(0, colon)),
        password: colon < 0 ? '' : decodeURIComponent(credentials.slice(colon + 1)),
        database: decodeURIComponent(database),
        params: Object.fromEntries(new URLSearchParams(query)),
      },
    }
  } catch {
    return { complaint: 'a "%" in it does not start a percent-encoded UTF-8 character; write a literal "%" as %25' }
  }
}
