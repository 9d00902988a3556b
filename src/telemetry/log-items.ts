import type { Logger } from '../logger.ts'
import type { Events } from '../events.ts'

/** Writes the events of items as log lines. */
export function logItems(events: Events, log: Logger): (() => void)[] {
  return [
    events.on('item.dead', ({ runId, jobId, itemId, kind, key, class: name }) =>
      log.warn(
        { piko_event: 'item.dead', run_id: runId, job_id: jobId, item_id: itemId, kind, key, class: name },
        `item ${itemId} of ${jobId} is dead: no tries are left for errors of class ${name}`,
      ),
    ),
  ]
}
