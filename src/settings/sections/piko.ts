import { MAX_LEASE } from '../max-lease.ts'
import { duration, flag, integer, list, logLevel, text, udpAddress } from '../setting-types.ts'

/** This node: its name, its jobs, its log, and how it works. */
export const piko = {
  name: text({ key: 'name', default: 'piko', help: 'Name of this installation in the log.' }),
  /** Globs of files with jobs, relative to the working directory. */
  jobs: list({
    key: 'jobs',
    default: [],
    help: 'Glob patterns of the modules that define jobs, such as ["jobs/**/*.ts"].',
  }),
  logLevel: logLevel({
    key: 'log_level',
    default: 'info',
    help: 'Lowest level to log: trace, debug, info, warn, error, fatal or silent.',
  }),
  logJson: flag({
    key: 'log_json',
    default: false,
    help: 'Log one JSON object per line instead of readable text.',
  }),
  concurrency: integer({
    key: 'concurrency',
    default: 100,
    min: 1,
    max: 100_000,
    help: 'Runs in progress at the same time on this node.',
  }),
  pollIntervalMs: duration({
    key: 'poll_interval',
    default: '1s',
    min: '10ms',
    max: '1m',
    help: 'Longest pause between two polls for work.',
  }),
  /** The address for notifications of new work: `auto`, `off` or `host:port`. */
  doorbell: udpAddress({
    key: 'doorbell',
    default: 'auto',
    help: 'UDP address at which this node is notified of new work, such as "10.0.0.5:9465"; auto: any free port; off: no datagrams.',
  }),
  leaseMs: duration({
    key: 'lease',
    default: '15s',
    min: '2s',
    max: MAX_LEASE,
    help: 'A node that fails to renew its lease within this time is considered dead.',
  }),
  /** How long a stopping node waits for its runs. */
  shutdownTimeoutMs: duration({
    key: 'shutdown_timeout',
    default: '30s',
    min: '0s',
    max: '1d',
    help: 'Time for runs in progress to end when the node stops.',
  }),
  transactionTimeoutMs: duration({
    key: 'transaction_timeout',
    default: '1m',
    min: '100ms',
    max: '1d',
    help: 'Longest time that the function of a transaction (app.sql.transaction, ctx.commit, a step) may take. On SQLite at most half of the lease.',
  }),
  /** Applies to the whole process: see `src/small-heap.ts`. */
  smallHeap: flag({
    key: 'small_heap',
    default: false,
    help: 'Keeps the memory of the whole process small: garbage is collected sooner and more often, at the cost of processor time.',
  }),
  /** The minimum length of a block of the event loop that is reported; 0: blocks are not watched. */
  blockThresholdMs: duration({
    key: 'block_threshold',
    default: '500ms',
    min: '0s',
    max: '10m',
    help: 'Event loop blocks of at least this length are reported, with the blocking function; 0s: never.',
  }),
  maxBlockMs: duration({
    key: 'max_block',
    default: '1m',
    min: '0s',
    max: '1d',
    help: 'A node whose event loop is blocked this long gives up its lease, so that other nodes take over its runs; 0s: never.',
  }),
  /** Whether the process ends if the event loop is blocked for `max_block` plus one lease. */
  endWhenBlocked: flag({
    key: 'end_when_blocked',
    default: true,
    help: 'End the process when the event loop is blocked for max_block plus one lease.',
  }),
  autoMigrate: flag({
    key: 'auto_migrate',
    default: true,
    help: 'Bring the database schema up to date at start.',
  }),
}
