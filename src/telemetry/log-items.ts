import { counted } from '../counted.ts'
import type { Logger } from '../logger.ts'
import type { Events } from '../events.ts'

/** Logs the events of items. Returns the functions that stop the logging. */
export function logItems(events: Events, log: Logger): (() => void)[] {
  return [
    events.on('item.ended', ({ runId, jobId, itemId, kind, state, durationMs }) =>
      log.trace(
        {
          piko_event: 'item.ended',
          run_id: runId,
          job_id: jobId,
          item_id: itemId,
          kind,
          state,
          duration_ms: Math.round(durationMs),
        },
        `item ${itemId} of ${jobId} is ${state}`,
      ),
    ),
    events.on('items.progress', ({ runId, jobId, done, dead, total }) =>
      log.debug(
        { piko_event: 'items.progress', run_id: runId, job_id: jobId, done, dead, total },
        `run ${runId} of ${jobId}: ${done} of ${counted(total, 'item')} done`,
      ),
    ),
    events.on('crawl.progress', ({ runId, jobId, done, dead, total, queued, perSecond }) =>
      log.debug(
        {
          piko_event: 'crawl.progress',
          run_id: runId,
          job_id: jobId,
          done,
          dead,
          total,
          queued,
          per_second: perSecond,
        },
        `run ${runId} of crawl ${jobId}: ${done} of ${counted(total, 'page')} done, ${perSecond.toFixed(1)} per second`,
      ),
    ),
    events.on('lane.opened', ({ laneId, scope, lane, openUntil, opens }) =>
      log.warn(
        { piko_event: 'lane.opened', lane_id: laneId, scope, lane, open_until: openUntil.toISOString(), opens },
        `lane ${lane} of ${scope} failed too often; none of its items begins before ${openUntil.toISOString()}`,
      ),
    ),
    events.on('lane.closed', ({ laneId, scope, lane }) =>
      log.info({ piko_event: 'lane.closed', lane_id: laneId, scope, lane }, `lane ${lane} of ${scope} works again`),
    ),
    events.on('item.dead', ({ runId, jobId, itemId, kind, key, class: name, error }) =>
      log.warn(
        { piko_event: 'item.dead', run_id: runId, job_id: jobId, item_id: itemId, kind, key, class: name },
        `item ${itemId} of ${jobId} is dead, because no retries are left for errors of class ${name}${error === undefined ? '' : `: ${error}`}`,
      ),
    ),
  ]
}
