import { duration, durationOrSeconds, flag, integer, optionalDsn } from '../setting-types.ts'

/** The MySQL or MariaDB server, if there is one. */
export const mysql = {
  /** The address of the server. It is masked in logs and in the JSON of this object. Empty: embedded SQLite. */
  dsn: optionalDsn({
    key: 'dsn',
    help: 'MySQL or MariaDB server, mysql://user:password@host:3306/database; empty: embedded SQLite.',
  }),
  poolSize: integer({
    key: 'pool_size',
    default: 10,
    min: 2,
    max: 1_000,
    help: 'Maximum number of connections of this node.',
  }),
  poolRecycleMs: durationOrSeconds({
    key: 'pool_recycle',
    default: '1h',
    min: '1s',
    max: '7d',
    help: 'A connection older than this is replaced. Here a number without a unit means seconds.',
  }),
  connectTimeoutMs: duration({
    key: 'connect_timeout',
    default: '10s',
    min: '100ms',
    max: '10m',
    help: 'Longest wait for a new connection.',
  }),
  /** The time limit of a statement, and of the wait for a free connection; 0: no limit. */
  statementTimeoutMs: duration({
    key: 'statement_timeout',
    default: '1m',
    min: '0s',
    max: '1d',
    help: 'Longest wait for a free connection, and for the answer to a statement other than DDL; 0s: no limit.',
  }),
  sslVerifyHost: flag({
    key: 'ssl_verify_host',
    default: true,
    help: 'With TLS: refuse a server whose certificate is for another host.',
  }),
}
