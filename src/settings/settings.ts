import { availableParallelism } from 'node:os'
import { inspect } from 'node:util'
import { RUN_LOG_LEVELS, type RunLogLevel } from '../run/run-log.ts'
import { durationMs } from '../time/duration.ts'
import { type RawSettings } from './keys.ts'
import { maskDsn } from './mask.ts'
import { type LogLevel, logLevelOf } from './log-level.ts'

/** The settings of one process, complete and checked. Durations are in milliseconds. */
export interface Settings {
  readonly piko: {
    readonly name: string
    /** Globs, relative to the working directory. */
    readonly jobs: readonly string[]
    readonly logLevel: LogLevel
    readonly logJson: boolean
    /** Runs in progress at the same time on this node. */
    readonly concurrency: number
    /** Longest pause between two polls for work. */
    readonly pollIntervalMs: number
    /** `auto`, `off` or `host:port`: the address for notifications of new work. */
    readonly doorbell: string
    /** A node that fails to renew its lease within this time is considered dead. */
    readonly leaseMs: number
    /** Deadline of a drain. */
    readonly shutdownTimeoutMs: number
    /** 0: Piko does not watch for blocks of the event loop. */
    readonly blockThresholdMs: number
    /** A node whose event loop is blocked this long gives up its lease; 0: never. */
    readonly maxBlockMs: number
    /** Whether the process ends when the loop has been blocked for one more lease. */
    readonly endWhenBlocked: boolean
    readonly autoMigrate: boolean
  }
  readonly mysql: {
    /** A secret; masked in logs and JSON of this object. Empty: embedded SQLite. */
    readonly dsn: string
    readonly poolSize: number
    readonly poolRecycleMs: number
    readonly connectTimeoutMs: number
    /** 0: no limit. */
    readonly statementTimeoutMs: number
    readonly sslVerifyHost: boolean
  }
  readonly sqlite: {
    /** Relative to the working directory. */
    readonly path: string
  }
  readonly history: {
    /** Lowest level of `ctx.log` lines to keep; undefined: none. */
    readonly runLogs: RunLogLevel | undefined
    /** Maximum number of lines for one attempt. */
    readonly runLogLines: number
    /** 0: for ever. */
    readonly keepSucceededMs: number
    /** 0: for ever. */
    readonly keepFailedMs: number
    /** Maximum number of ended runs for each job; 0: all. */
    readonly keepRuns: number
    /** A run fails after this many deaths of its nodes. */
    readonly lostAttempts: number
  }
  readonly offload: {
    /** At least 1: the `0` of the file is already resolved. */
    readonly threads: number
  }
  readonly http: {
    readonly enabled: boolean
    readonly host: string
    /** 0: any free port. */
    readonly port: number
  }
}

/** Parses checked values into the form that the program uses. */
export function toSettings({ piko, mysql, sqlite, history, offload, http }: RawSettings): Settings {
  const recycle = mysql.pool_recycle
  return {
    piko: {
      name: piko.name,
      jobs: [...piko.jobs],
      logLevel: logLevelOf(piko.log_level) ?? 'info',
      logJson: piko.log_json,
      concurrency: piko.concurrency,
      pollIntervalMs: durationMs(piko.poll_interval, 'piko.poll_interval'),
      doorbell: piko.doorbell,
      leaseMs: durationMs(piko.lease, 'piko.lease'),
      shutdownTimeoutMs: durationMs(piko.shutdown_timeout, 'piko.shutdown_timeout'),
      blockThresholdMs: durationMs(piko.block_threshold, 'piko.block_threshold'),
      maxBlockMs: durationMs(piko.max_block, 'piko.max_block'),
      endWhenBlocked: piko.end_when_blocked,
      autoMigrate: piko.auto_migrate,
    },
    mysql: hideDsn({
      dsn: mysql.dsn,
      poolSize: mysql.pool_size,
      poolRecycleMs: typeof recycle === 'number' ? recycle * 1_000 : durationMs(recycle, 'mysql.pool_recycle'),
      connectTimeoutMs: durationMs(mysql.connect_timeout, 'mysql.connect_timeout'),
      statementTimeoutMs: durationMs(mysql.statement_timeout, 'mysql.statement_timeout'),
      sslVerifyHost: mysql.ssl_verify_host,
    }),
    sqlite: { path: sqlite.path },
    history: {
      runLogs: RUN_LOG_LEVELS.find((level) => level === logLevelOf(history.run_logs)),
      runLogLines: history.run_log_lines,
      keepSucceededMs: durationMs(history.keep_succeeded, 'history.keep_succeeded'),
      keepFailedMs: durationMs(history.keep_failed, 'history.keep_failed'),
      keepRuns: history.keep_runs,
      lostAttempts: history.lost_attempts,
    },
    offload: { threads: offload.threads === 0 ? Math.max(1, availableParallelism() - 1) : offload.threads },
    http: { enabled: http.enabled, host: http.host, port: http.port },
  }
}

/** Settings may appear in logs and error reports; the password must not. */
function hideDsn(mysql: Settings['mysql']): Settings['mysql'] {
  const masked = (): Settings['mysql'] => ({ ...mysql, dsn: maskDsn(mysql.dsn) })
  return Object.defineProperties(mysql, { toJSON: { value: masked }, [inspect.custom]: { value: masked } })
}
