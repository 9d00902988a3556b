import type { DestinationStream, Logger as PinoLogger } from 'pino'
import { counted } from '../counted.ts'
import { messageOf } from '../errors-read.ts'
import { redactText } from '../run/redact.ts'
import { formatMs } from '../time/duration.ts'
import type { EventMap, Events } from '../events.ts'
import { standardErrorDestination } from './log-destination.ts'
import { prettyPrinter } from './pretty.ts'
import { redactFields } from './redact.ts'
import type { Logger } from '../logger.ts'
import { logChanges } from './log-changes.ts'
import { logNotices } from './log-notices.ts'
import { logItems } from './log-items.ts'
import { logSinks } from './log-sinks.ts'
import { logSkippedTicks } from './log-skipped-ticks.ts'
import { loadPackage } from '../load-package.ts'

/** The logger of the process. All other code uses the smaller {@link Logger}. */
export type AppLogger = PinoLogger

export interface LoggerOptions {
  /** The lowest level to log: `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`. */
  readonly level: string
  /**
   * Whether to write JSON: one object per line (`time` in ISO 8601 UTC, `level` as a string). Otherwise writes short lines for people, in
   * local time.
   */
  readonly json: boolean
  /** The field `name` of JSON lines. */
  readonly name: string
  /** Where the lines are written. Default: standard error, because standard output is reserved for the output of commands. */
  readonly stream?: DestinationStream
  /** Whether the lines for people have colours. Default: true if standard error is a terminal and `NO_COLOR` is unset. */
  readonly colour?: boolean
}

/**
 * Creates the logger of a process. Redacts values of secret keys, and passwords in connection strings. Writes an error under `err`, with
 * its chain of causes.
 */
export function createLogger(options: LoggerOptions): AppLogger {
  if (options.stream) return loggerOn(options.stream, options)
  const standard = standardErrorDestination()
  const logger = loggerOn(standard, options)
  if (options.level !== 'silent') {
    standard.onDropped = (lines) =>
      logger.warn({ dropped_lines: lines }, `dropped ${counted(lines, 'line')} of this log that could not be written`)
  }
  return logger
}

function loggerOn(stream: DestinationStream, options: LoggerOptions): AppLogger {
  // Loaded only here, because a command that logs nothing does not need it.
  const { pino, stdTimeFunctions } = loadPackage<typeof import('pino')>('pino')
  return pino(
    {
      level: options.level,
      base: options.json ? { name: options.name } : {},
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redactFields },
      // `redactFields` has already turned errors into data, and pino's own serializer would treat this data as an error again.
      serializers: { err: (error: unknown) => error },
      hooks: { streamWrite: redactText },
    },
    options.json ? stream : prettyStream(stream, options.colour ?? isColourWanted()),
  )
}

/** Formats lines immediately. pino-pretty's own stream writes them in a later turn, and loses the last ones when the process exits. */
function prettyStream(stream: DestinationStream, colour: boolean): DestinationStream {
  let print: ((line: string) => string) | undefined
  return { write: (line) => stream.write((print ??= prettyPrinter({ colour }))(line)) }
}

function isColourWanted(): boolean {
  return process.stderr.isTTY && (process.env['NO_COLOR'] ?? '') === ''
}

/** Creates the logger of one attempt, `ctx.log`. Each line carries `run_id`, `job_id` and `attempt`. */
export function runLogger(base: AppLogger, run: { runId: number; jobId: string; attempt: number }): Logger {
  return base.child({ run_id: run.runId, job_id: run.jobId, attempt: run.attempt })
}

/**
 * Logs events. Only this function, and those that it calls, decide their texts and levels. JSON lines name the event in `piko_event`.
 *
 * @returns a function that stops the logging
 */
export function logEvents(events: Events, log: AppLogger): () => void {
  const subscriptions = [
    ...logItems(events, log),
    ...logChanges(events, log),
    ...logNotices(events, log),
    events.on('node.started', ({ nodeId, jobs }) => {
      log.info({ piko_event: 'node.started', node_id: nodeId }, `node started with ${counted(jobs, 'job')}`)
    }),
    events.on('node.stopped', ({ nodeId }) =>
      log.info({ piko_event: 'node.stopped', node_id: nodeId }, 'node stopped'),
    ),
    events.on('node.drained', (drained) => logDrained(log, drained)),
    events.on('runs.deleted', ({ count: deleted }) =>
      log.debug({ piko_event: 'runs.deleted', count: deleted }, `${counted(deleted, 'old run')} deleted`),
    ),
    events.on('backfill.changed', ({ backfillId, jobId, state }) =>
      log.info(
        { piko_event: 'backfill.changed', backfill_id: backfillId, job_id: jobId, state },
        `backfill ${backfillId} of ${jobId}: ${state}`,
      ),
    ),
    events.on('batch.changed', ({ batchId, jobId, state }) =>
      log.info(
        { piko_event: 'batch.changed', batch_id: batchId, job_id: jobId, state },
        `batch ${batchId} of ${jobId}: ${state}`,
      ),
    ),
    events.on('node.lost', ({ nodeId, newNodeId }) => {
      const words =
        'node lost its lease; it aborts its runs, stores none of their outcomes, and continues with a new id'
      log.warn({ piko_event: 'node.lost', node_id: nodeId, new_node_id: newNodeId }, words)
    }),
    events.on('leader.changed', ({ isLeader, epoch }) => {
      const words = isLeader
        ? 'this node is now the leader and plans ticks'
        : 'this node is no longer the leader; another node may plan ticks'
      log.info({ piko_event: 'leader.changed', epoch }, words)
    }),
    events.on('config.refused', ({ jobId, version, inForce, error }) =>
      log.error(
        { piko_event: 'config.refused', job_id: jobId, version, in_force: inForce, err: error },
        inForce === undefined
          ? `version ${version} of the config of ${jobId} is refused, and no other version is in force`
          : `version ${version} of the config of ${jobId} is refused; version ${inForce} stays in force`,
      ),
    ),
    events.on('config.changed', ({ jobId, version, effectiveFrom }) => {
      const fields = {
        piko_event: 'config.changed',
        job_id: jobId,
        version,
        effective_from: effectiveFrom.toISOString(),
      }
      log.info(fields, `job ${jobId} has a new config version`)
    }),
    events.on('schedule.changed', ({ jobId, schedule }) => {
      const words =
        schedule === null ? `job ${jobId} no longer has a schedule` : `job ${jobId} now uses its new schedule`
      log.info({ piko_event: 'schedule.changed', job_id: jobId, schedule }, words)
    }),
    events.on('schedule.refused', ({ jobId, schedule, error }) => {
      const words = `the new schedule of job ${jobId} is invalid, keeping the previous one; fix its row in piko_job`
      log.error({ piko_event: 'schedule.refused', job_id: jobId, schedule, err: error }, words)
    }),
    events.on('shared.changed', ({ topic, version }) => {
      log.debug(
        { piko_event: 'shared.changed', topic, version },
        `this node now uses version ${version} of the shared value ${topic}`,
      )
    }),
    events.on('shared.refused', ({ topic, version, inForce, error }) => {
      const words = `version ${version} of the shared value ${topic} is refused; version ${inForce} stays in force`
      log.error({ piko_event: 'shared.refused', topic, version, in_force: inForce, err: error }, words)
    }),
    events.on('elector.changed', ({ elector, isLeader, epoch }) => {
      const words = `this process ${isLeader ? 'is now' : 'is no longer'} the leader of elector ${elector}`
      log.info({ piko_event: 'elector.changed', elector, epoch }, words)
    }),
    events.on('cache.degraded', ({ cache, error }) => {
      const words = `the shared level of cache ${cache} does not respond; values are loaded without it`
      log.error({ piko_event: 'cache.degraded', cache, err: error }, words)
    }),
    events.on('cache.recovered', ({ cache, outageMs }) => {
      const words = `the shared level of cache ${cache} responds again after ${formatMs(outageMs)}`
      log.info({ piko_event: 'cache.recovered', cache, outage_ms: Math.round(outageMs) }, words)
    }),
    logSkippedTicks(events, log),
    events.on('runs.planned', ({ jobId, count: planned }) => {
      log.debug({ piko_event: 'runs.planned', job_id: jobId }, `${counted(planned, 'run')} planned`)
    }),
    events.on('windows.skipped', ({ jobId, count: skipped }) => {
      log.info(
        { piko_event: 'windows.skipped', job_id: jobId },
        `${counted(skipped, 'missed window')} skipped by catch-up`,
      )
    }),
    events.on('connections.ended', ({ count: ended, nodeIds }) => {
      const words = `${counted(ended, 'database connection')} of lost nodes ended, so that they hold no locks`
      log.warn({ piko_event: 'connections.ended', node_ids: nodeIds }, words)
    }),
    events.on('connections.left', ({ nodeIds, error }) => {
      const words = 'database connections of lost nodes could not be ended; they may hold locks'
      log.error({ piko_event: 'connections.left', node_ids: nodeIds, err: error }, words)
    }),
    events.on('jobs.unknown', ({ jobIds }) => {
      const fields = { piko_event: 'jobs.unknown', job_ids: jobIds.slice(0, MAX_IDS) }
      const words = `no live node knows ${counted(jobIds.length, 'job')} with a schedule or queued runs: ${fields.job_ids.join(', ')}`
      if (jobIds.length === 0) log.debug(fields, 'every job is known again')
      else log.warn(fields, `${words}; deploy their code, or pause them: piko jobs pause ${fields.job_ids[0]}`)
    }),
    events.on('runs.recovered', ({ count: recovered, nodeIds }) => {
      const words = `${counted(recovered, 'run')} of lost nodes queued again for the next free node`
      log.warn({ piko_event: 'runs.recovered', node_ids: nodeIds }, words)
    }),
    events.on('run.started', ({ runId, jobId, attempt, latenessMs }) => {
      if (!log.isLevelEnabled('debug')) return
      const fields = { piko_event: 'run.started', run_id: runId, job_id: jobId, attempt, lateness_ms: latenessMs }
      log.debug(fields, 'run started')
    }),
    events.on('run.progress', ({ runId, jobId, done, total, message }) => {
      log.debug(
        { piko_event: 'run.progress', run_id: runId, job_id: jobId, done, total },
        message ?? 'run made progress',
      )
    }),
    events.on('run.settled', (payload) => {
      if (payload.outcome !== 'success' || log.isLevelEnabled('info')) settled(log, payload)
    }),
    events.on('run.lost', ({ runId, jobId, fence }) => {
      const words = "run lost: this node's claim was no longer valid, so nothing was written; another node owns the run"
      log.warn({ piko_event: 'run.lost', run_id: runId, job_id: jobId, fence }, words)
    }),
    ...logSinks(events, log),
    events.on('service.crashed', ({ service, error }) => {
      log.error({ piko_event: 'service.crashed', service, err: error }, `service ${service} crashed`)
    }),
    events.on('service.restarted', ({ service, restarts }) => {
      log.warn({ piko_event: 'service.restarted', service, restarts }, `service ${service} is running again`)
    }),
    events.on('service.stuck', ({ service, task, waitedMs }) => {
      const words = `task ${task} of ${service} did not end within ${formatMs(waitedMs)}; the stop continues without it`
      log.warn({ piko_event: 'service.stuck', service, task }, words)
    }),
    events.on('loop.blocked', ({ blockedMs, culprit, stack }) => {
      const words = `the event loop was blocked for ${formatMs(blockedMs)}${culprit ? ` by ${culprit}` : ''}`
      log.warn({ piko_event: 'loop.blocked', blocked_ms: Math.round(blockedMs), stack }, words)
    }),
    events.on('loop.failed', (payload) => loopFailed(log, payload)),
    events.on('row.broken', ({ table, key, columns, error }) => {
      log.error({ piko_event: 'row.broken', table, key, columns }, error.message)
    }),
    events.on('loop.recovered', ({ loop, failures }) => {
      const words = `${loop} works again after ${counted(failures, 'failure')}`
      log.debug({ piko_event: 'loop.recovered', loop, failures }, words)
    }),
    events.on('resource.lost', ({ resource, error }) => {
      const words = `resource ${resource} is lost; runs that need it wait until it has been opened again`
      log.error({ piko_event: 'resource.lost', resource, err: error }, words)
    }),
    events.on('resource.recovered', ({ resource, lostMs, tries }) => {
      const words = `resource ${resource} is available again after ${formatMs(lostMs)}`
      log.info({ piko_event: 'resource.recovered', resource, lost_ms: Math.round(lostMs), tries }, words)
    }),
    events.on('store.outage', ({ error }) => {
      const words = 'the database is unavailable; this node retries, and logs when it is back'
      log.error({ piko_event: 'store.outage', err: error }, words)
    }),
    events.on('store.recovered', ({ outageMs, failures }) => {
      const words = `the database is back after ${formatMs(outageMs)}`
      log.info({ piko_event: 'store.recovered', outage_ms: Math.round(outageMs), failures }, words)
    }),
  ]
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe()
  }
}

/** The maximum number of jobs that one line names. */
const MAX_IDS = 20

/** Conflicts with other writers usually end by themselves. So a loop logs a warning only once for this many in a row. */
const MAX_SILENT_CONFLICTS = 5

/**
 * Logs that a loop failed. During an outage, this has the level `debug`, because the line of `store.outage` reports the outage once for all
 * loops.
 */
function loopFailed(log: Logger, { loop, error, retryInMs, fault, failures = 1 }: EventMap['loop.failed']): void {
  const fields = { piko_event: 'loop.failed', loop, err: error }
  const words = `${loop} failed; retrying in ${formatMs(retryInMs)}`
  if (fault === 'outage') log.debug(fields, words)
  else if (fault !== 'contention') log.error(fields, words)
  else if (failures % MAX_SILENT_CONFLICTS !== 0) log.debug(fields, words)
  else
    log.warn(
      fields,
      `${loop} conflicted with other transactions ${failures} times in a row; retrying in ${formatMs(retryInMs)}`,
    )
}

function logDrained(log: Logger, { ended, givenBack, stillRunning, leftBehind, runs }: EventMap['node.drained']): void {
  const parts = [
    `${ended} ended`,
    `${givenBack} returned to the queue`,
    ...(stillRunning > 0 ? [`${stillRunning} of them with handlers that ignore ctx.signal and are still running`] : []),
    ...(leftBehind > 0 ? [`${leftBehind} left as running until another node recovers them`] : []),
  ]
  const fields = {
    piko_event: 'node.drained',
    ended,
    given_back: givenBack,
    still_running: stillRunning,
    left_behind: leftBehind,
    ...(runs.length > 0 && { runs }),
  }
  const level = leftBehind > 0 ? 'error' : stillRunning > 0 ? 'warn' : 'info'
  log[level](fields, `runs at stop: ${parts.join(', ')}`)
}

const ENDED = {
  success: 'run succeeded',
  failure: 'run failed',
  timeout: 'run timed out',
  cancelled: 'run was cancelled',
  interrupted: 'run was interrupted because this node is stopping',
  waiting: 'run is waiting in ctx.until',
} as const satisfies Record<EventMap['run.settled']['outcome'], string>

function settled(log: Logger, payload: EventMap['run.settled']): void {
  const { runId, jobId, attempt, outcome, state, durationMs, error, retryInMs, isGivenUp, isUntried } = payload
  const fields = {
    piko_event: 'run.settled',
    run_id: runId,
    job_id: jobId,
    attempt,
    outcome,
    state,
    duration_ms: Math.round(durationMs),
    ...(isGivenUp && { is_given_up: true }),
  }
  // The slot is free, but the handler is still running, because Piko can't stop it.
  const stillRuns = isGivenUp ? '; its handler ignored ctx.signal and is still running' : ''
  if (outcome === 'success') {
    log.info(fields, `${ENDED.success} in ${formatMs(durationMs)}`)
  } else if (outcome === 'interrupted') {
    const why = isUntried ? 'run was not started: its job has reached its rate limit' : ENDED.interrupted
    log[isGivenUp ? 'warn' : 'info'](fields, `${why}; it is queued again${stillRuns}`)
  } else if (outcome === 'waiting' && state === 'queued') {
    log[isGivenUp ? 'warn' : 'info'](
      fields,
      `${ENDED.waiting}, which checks again in ${formatMs(retryInMs ?? 0)}${stillRuns}`,
    )
  } else if (state === 'queued') {
    const next = retryInMs ? `retrying in ${formatMs(retryInMs)}` : 'retrying immediately'
    log.warn({ ...fields, err: error }, `${ENDED[outcome]}; ${next}${stillRuns}`)
  } else if (outcome === 'cancelled') {
    log[isGivenUp ? 'warn' : 'info']({ ...fields, reason: error && messageOf(error) }, `${ENDED.cancelled}${stillRuns}`)
  } else {
    log.error({ ...fields, err: error }, `${ENDED[outcome]}; it will not be retried${stillRuns}`)
  }
}
