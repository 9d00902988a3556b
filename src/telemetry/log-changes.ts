import type { Events } from '../events.ts'
import type { Logger } from '../logger.ts'

/** Logs changes, and answered and refused requests. Returns the functions that stop the logging. */
export function logChanges(events: Events, log: Logger): (() => void)[] {
  return [
    events.on('change.recorded', ({ auditId, verb, jobId, target, actor, outcome }) => {
      const fields = {
        ...{ piko_event: 'change.recorded', audit_id: auditId, verb, job_id: jobId, target },
        ...{ actor: actor.name, actor_kind: actor.kind, outcome },
      }
      const what = [verb, jobId, target].filter((word) => word !== undefined).join(' ')
      // A person who types a command sees its result anyway, so this line has the level debug.
      if (outcome === 'done') log[actor.kind === 'cli' ? 'debug' : 'info'](fields, `${what} by ${actor.name}`)
      else log.warn(fields, `${what} by ${actor.name} failed, and may have changed something`)
    }),
    events.on('change.refused', ({ verb, code, actor }) =>
      log.debug({ piko_event: 'change.refused', verb, code, actor }, `${verb} by ${actor} was refused: ${code}`),
    ),
    events.on('change.unrecorded', ({ verb, jobId, target, error }) =>
      log.error(
        { piko_event: 'change.unrecorded', verb, job_id: jobId, target, err: error },
        `${verb} has ended, but its audit row could not be completed and still says "started"`,
      ),
    ),
    events.on('request.answered', ({ method, route, status, durationMs }) =>
      log.trace(
        { piko_event: 'request.answered', method, route, status, duration_ms: Math.round(durationMs) },
        `answered ${method} ${route} with ${status}`,
      ),
    ),
    events.on('request.refused', ({ code, route, actor }) =>
      log.debug({ piko_event: 'request.refused', code, route, actor }, `a request for ${route} was refused: ${code}`),
    ),
  ]
}
