import { maskDsn, maskText } from './mask.ts'
import { type Settings } from './settings.ts'

type PrintableValue = string | number | boolean | readonly string[]

/**
 * The settings in force by full key (`mysql.pool_size`), in the order of `docs/settings.md`, ready for printing and for `settings.toml`:
 * durations with their unit, secrets masked.
 */
export function describeSettings(settings: Settings): Readonly<Record<string, PrintableValue>> {
  const { piko, mysql, sqlite, history, offload, http } = settings
  return {
    'piko.name': maskText(piko.name),
    'piko.jobs': piko.jobs.map(maskText),
    'piko.log_level': piko.logLevel,
    'piko.log_json': piko.logJson,
    'piko.concurrency': piko.concurrency,
    'piko.poll_interval': exactDuration(piko.pollIntervalMs),
    'piko.doorbell': piko.doorbell,
    'piko.lease': exactDuration(piko.leaseMs),
    'piko.shutdown_timeout': exactDuration(piko.shutdownTimeoutMs),
    'piko.block_threshold': exactDuration(piko.blockThresholdMs),
    'piko.max_block': exactDuration(piko.maxBlockMs),
    'piko.end_when_blocked': piko.endWhenBlocked,
    'piko.auto_migrate': piko.autoMigrate,
    'mysql.dsn': maskDsn(mysql.dsn),
    'mysql.pool_size': mysql.poolSize,
    'mysql.pool_recycle': exactDuration(mysql.poolRecycleMs),
    'mysql.connect_timeout': exactDuration(mysql.connectTimeoutMs),
    'mysql.statement_timeout': exactDuration(mysql.statementTimeoutMs),
    'mysql.ssl_verify_host': mysql.sslVerifyHost,
    'sqlite.path': maskText(sqlite.path),
    'history.run_logs': history.runLogs ?? 'silent',
    'history.run_log_lines': history.runLogLines,
    'history.keep_succeeded': exactDuration(history.keepSucceededMs),
    'history.keep_failed': exactDuration(history.keepFailedMs),
    'history.keep_runs': history.keepRuns,
    'history.lost_attempts': history.lostAttempts,
    'offload.threads': offload.threads,
    'http.enabled': http.enabled,
    'http.host': maskText(http.host),
    'http.port': http.port,
  }
}

/** Uses the largest unit that divides the time exactly: `90000` → `90s`. */
function exactDuration(ms: number): string {
  if (ms > 0 && ms % 3_600_000 === 0) return `${ms / 3_600_000}h`
  if (ms > 0 && ms % 60_000 === 0) return `${ms / 60_000}m`
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`
}
