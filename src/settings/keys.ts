import {
  duration,
  durationOrSeconds,
  filePath,
  flag,
  integer,
  type KeyFormat,
  list,
  logLevel,
  optionalDsn,
  text,
  udpAddress,
} from './format.ts'
import { MAX_LEASE } from './max-lease.ts'

/** Every key of every section, as written in `settings.toml`. `settings.example.toml` and `docs/settings.md` must match it. */
export const KEYS = {
  piko: {
    name: text('piko', 'Name of this installation in the log.'),
    jobs: list([], 'Glob patterns of the modules that define jobs, such as "jobs/**/*.ts".'),
    log_level: logLevel('info', 'Lowest level to log: trace, debug, info, warn, error, fatal or silent.'),
    log_json: flag(false, 'Log one JSON object per line instead of readable text.'),
    concurrency: integer(100, { min: 1, max: 100_000 }, 'Runs in progress at the same time on this node.'),
    poll_interval: duration('1s', { min: '10ms', max: '1m' }, 'Longest pause between two polls for work.'),
    doorbell: udpAddress(
      'auto',
      'UDP address at which this node is notified of new work, IPv4 and port; auto: any free port; off: it only polls.',
    ),
    lease: duration(
      '15s',
      { min: '2s', max: MAX_LEASE },
      'A node that fails to renew its lease within this time is considered dead.',
    ),
    shutdown_timeout: duration(
      '30s',
      { min: '0s', max: '1d' },
      'Time for runs in progress to end when the node stops.',
    ),
    block_threshold: duration(
      '500ms',
      { min: '0s', max: '10m' },
      'Event loop blocks of at least this length are reported, with the blocking function; 0s: never.',
    ),
    max_block: duration(
      '1m',
      { min: '0s', max: '1d' },
      'A node whose event loop is blocked this long gives up its lease, so that other nodes take over its runs; 0s: never.',
    ),
    end_when_blocked: flag(true, 'End the process when the event loop is blocked for max_block plus one lease.'),
    auto_migrate: flag(true, 'Bring the database schema up to date at start.'),
  },
  mysql: {
    dsn: optionalDsn('MySQL or MariaDB server, mysql://user:password@host:3306/database; empty: embedded SQLite.'),
    pool_size: integer(10, { min: 2, max: 1_000 }, 'Maximum number of connections of this node.'),
    pool_recycle: durationOrSeconds(
      '1h',
      { min: '1s', max: '7d' },
      'A connection older than this is replaced. Here a bare number means seconds.',
    ),
    connect_timeout: duration('10s', { min: '100ms', max: '10m' }, 'Longest wait for a new connection.'),
    statement_timeout: duration(
      '1m',
      { min: '0s', max: '1d' },
      'Longest wait for a free connection, and for the answer to a statement other than DDL; 0s: no limit.',
    ),
    ssl_verify_host: flag(true, 'With TLS: refuse a server whose certificate is for another host.'),
  },
  sqlite: {
    path: filePath(
      '.piko/piko.db',
      'File of the embedded database, relative to the working directory; used when mysql.dsn is empty.',
    ),
  },
  history: {
    run_logs: logLevel('info', 'Lowest level of ctx.log lines to keep with their run; silent: none.'),
    run_log_lines: integer(1_000, { min: 1, max: 1_000_000 }, 'Maximum number of lines to keep per attempt.'),
    keep_succeeded: duration(
      '30d',
      { min: '0s', max: '3650d' },
      'Succeeded runs and skipped ticks are deleted after this time; 0s: never.',
    ),
    keep_failed: duration(
      '90d',
      { min: '0s', max: '3650d' },
      'Failed or cancelled runs are deleted after this time; 0s: never.',
    ),
    keep_runs: integer(0, { min: 0, max: 100_000_000 }, 'Maximum number of ended runs to keep per job; 0: all.'),
    lost_attempts: integer(
      10,
      { min: 1, max: 1_000_000 },
      'A run fails after this many deaths of its nodes, since it may be killing them.',
    ),
  },
  offload: {
    threads: integer(
      0,
      { min: 0, max: 1_024 },
      'Worker threads for offloaded calls; 0: one less than the number of CPUs, at least 1.',
    ),
  },
  http: {
    enabled: flag(true, 'Serve health, metrics and the graph of services.'),
    host: text('127.0.0.1', 'Address to listen on; "0.0.0.0" for every interface.'),
    port: integer(9464, { min: 0, max: 65_535 }, 'Port to listen on; 0: any free one.'),
  },
} as const

type Keys = typeof KEYS

/** The settings as in the file, before durations and names are parsed. */
export type RawSettings = {
  readonly [S in keyof Keys]: {
    readonly [K in keyof Keys[S]]: Keys[S][K] extends KeyFormat<infer T> ? T : never
  }
}

/** Any part of the settings, with the names of the file. */
export type SettingsOverrides = {
  readonly [S in keyof RawSettings]?:
    { readonly [K in keyof RawSettings[S]]?: RawSettings[S][K] | undefined } | undefined
}

/** `KEYS` by full name (`mysql.dsn`), in their order. */
export const FORMATS: ReadonlyMap<string, KeyFormat<unknown>> = new Map(
  Object.entries(KEYS).flatMap(([section, keys]) =>
    Object.entries<KeyFormat<unknown>>(keys).map(([key, format]) => [`${section}.${key}`, format] as const),
  ),
)

/** The environment variable of a key: `piko.log_level` → `PIKO_LOG_LEVEL`, `mysql.dsn` → `PIKO_MYSQL__DSN`. */
export function envName(key: string): string {
  return `PIKO_${key
    .replace(/^piko\./, '')
    .replace('.', '__')
    .toUpperCase()}`
}
