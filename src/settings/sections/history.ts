import { duration, integer, runLogLevel } from '../setting-types.ts'

/** Which history is kept, and for how long. */
export const history = {
  /** The lowest level of `ctx.log` lines that are kept; undefined: none. */
  runLogs: runLogLevel({
    key: 'run_logs',
    default: 'info',
    help: 'Lowest level of ctx.log lines to keep with their run; silent: none.',
  }),
  runLogLines: integer({
    key: 'run_log_lines',
    default: 1_000,
    min: 1,
    max: 1_000_000,
    help: 'Maximum number of lines to keep per attempt.',
  }),
  /** How long succeeded runs and skipped ticks are kept; 0: forever. */
  keepSucceededMs: duration({
    key: 'keep_succeeded',
    default: '30d',
    min: '0s',
    max: '3650d',
    help: 'Succeeded runs and skipped ticks are deleted after this time; 0s: never.',
  }),
  /** How long failed and cancelled runs are kept; 0: forever. */
  keepFailedMs: duration({
    key: 'keep_failed',
    default: '90d',
    min: '0s',
    max: '3650d',
    help: 'Failed or cancelled runs are deleted after this time; 0s: never.',
  }),
  keepRuns: integer({
    key: 'keep_runs',
    default: 0,
    min: 0,
    max: 100_000_000,
    help: 'Maximum number of ended runs to keep per job; 0: all.',
  }),
  /** How long rows of the audit are kept; 0: forever. */
  keepAuditMs: duration({
    key: 'keep_audit',
    default: '365d',
    min: '0s',
    max: '3650d',
    help: 'Rows of the audit are deleted after this time; 0s: never.',
  }),
  lostAttempts: integer({
    key: 'lost_attempts',
    default: 10,
    min: 1,
    max: 1_000_000,
    help: 'A run fails when this many nodes have died while executing it, because the run may be the cause.',
  }),
}
