import type { ConnectionOptions } from 'node:tls'
import { wrongCall } from '../../call-options.ts'
import { aDuration } from '../../time/duration-check.ts'
import { propertyOf } from '../../errors-read.ts'
import { aTable, aText, oneOf, type OptionChecks, readOptions, wholeNumber } from '../../options.ts'
import { type Dsn, inspectDsn } from '../../settings/dsn.ts'
import { maskDsn } from '../../settings/mask.ts'
import type { Duration } from '../../time/duration.ts'

export type Isolation = 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable'

/** TLS options. */
export interface MysqlTls extends Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'rejectUnauthorized' | 'minVersion'
> {
  /** Whether the certificate must name the host of the DSN. Default true, unless `rejectUnauthorized` is false. */
  readonly verifyIdentity?: boolean
}

export interface MysqlOptions {
  /** The name for messages and metrics. Default: `mysql`, with the database of a DSN. */
  readonly name?: string
  /**
   * The maximum number of runs that may have a transaction at the same time; others wait. Default 10, or 5 with your own pool or Kysely
   * instance.
   */
  readonly size?: number
  /** How long to wait for a server that can't be reached, at the first use and later. Default `'30s'`. */
  readonly wait?: Duration
  /** The isolation of a run's transaction. Default: the server's. */
  readonly isolation?: Isolation
  /** TLS for a DSN: `{}` checks the server's certificate and its host. Default: none. */
  readonly tls?: MysqlTls
}

const CHECKS: OptionChecks<MysqlOptions> = {
  name: aText,
  size: wholeNumber(1, 10_000),
  wait: aDuration(),
  isolation: oneOf('read uncommitted', 'read committed', 'repeatable read', 'serializable'),
  tls: aTable,
}

const EXPECTED = 'expected a DSN such as mysql://user:password@host:3306/database, a mysql2 pool or a Kysely instance'

/** The kind of database that the caller gave. */
export type Given =
  | { readonly kind: 'dsn'; readonly dsn: Dsn }
  | { readonly kind: 'pool' }
  | { readonly kind: 'kysely' }

/** Checks the arguments of `mysql()`. @throws PikoError `USAGE` with all problems, but without the password */
export function readMysqlCall(
  source: unknown,
  options: unknown,
): { readonly given: Given; readonly options: MysqlOptions } {
  const read = readOptions<MysqlOptions>(options, CHECKS, '{ size: 10 }')
  const given = givenBy(source)
  const problems = [...('problem' in given ? [given.problem] : []), ...read.problems]
  if ('problem' in given || problems.length > 0) throw wrongCall('mysql', problems)
  return { given, options: read.options }
}

function givenBy(source: unknown): Given | { readonly problem: string } {
  if (typeof source === 'string') return dsnOf(source)
  const has = (name: string): boolean => typeof propertyOf(source, name) === 'function'
  if (has('startTransaction') && has('executeQuery')) return { kind: 'kysely' }
  if (has('getConnection')) return { kind: 'pool' }
  return { problem: `the database is neither a string nor a pool nor a Kysely instance; ${EXPECTED}` }
}

function dsnOf(text: string): Given | { readonly problem: string } {
  const found = inspectDsn(text)
  if ('complaint' in found) return { problem: `the DSN "${maskDsn(text)}" is invalid: ${found.complaint}` }
  const unknown = Object.keys(found.dsn.params).filter((name) => name !== 'charset')
  if (unknown.length > 0)
    return {
      problem: `the DSN has the parameters ${unknown.join(', ')}; give TLS as the option tls, and others in your own mysql2 pool`,
    }
  return { kind: 'dsn', dsn: found.dsn }
}
