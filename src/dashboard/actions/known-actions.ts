import type { Action } from './action.tsx'
import { says } from './action.tsx'
import { part } from '../shared/api.ts'
import { go } from '../shared/router.ts'

/** A change, as its audit verb and its subject. */
export interface KnownChange {
  readonly verb: string
  readonly jobId?: string | undefined
  readonly runId?: number | undefined
  readonly backfillId?: number | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/** Returns the action of a change. Undefined if it needs further input, such as a new schedule. */
export function knownAction({
  verb,
  jobId = '',
  runId = 0,
  backfillId = 0,
  from,
  to,
}: KnownChange): Action | undefined {
  switch (verb) {
    case 'jobs.pause':
      return {
        title: `Pause ${jobId}`,
        request: { method: 'POST', path: `/jobs/${part(jobId)}/pause` },
        cli: ['jobs', 'pause', jobId],
        preview: says('No tick starts a run until the job is resumed. Queued and running runs continue.'),
      }
    case 'jobs.resume':
      return {
        title: `Resume ${jobId}`,
        request: { method: 'POST', path: `/jobs/${part(jobId)}/resume` },
        cli: ['jobs', 'resume', jobId],
        preview: says('The schedule continues on all nodes. Missed ticks are treated as after an outage.'),
      }
    case 'runs.start':
      return {
        title: `Run ${jobId} now`,
        request: { method: 'POST', path: `/jobs/${part(jobId)}/runs`, body: {} },
        isNewRun: true,
        cli: ['run', jobId],
        preview: says(`Stores one run of ${jobId} without input. A node executes it as soon as the limits allow it.`),
        onDone: (answer) => {
          if (typeof answer === 'object' && answer !== null && 'id' in answer) go(`/runs/${String(answer.id)}`)
        },
      }
    case 'runs.replay':
      return {
        title: `Replay run ${runId}`,
        request: { method: 'POST', path: `/runs/${runId}/replay` },
        cli: ['runs', 'replay', runId],
        preview: says('The run goes back to the queue as new, with the same input. Its attempts stay in the history.'),
      }
    case 'runs.cancel':
      return {
        title: `Cancel run ${runId}`,
        request: { method: 'POST', path: `/runs/${runId}/cancel` },
        cli: ['runs', 'cancel', runId],
        preview: says('A queued run never starts. The node of a running one aborts its handler within two seconds.'),
      }
    case 'backfills.resume':
      return {
        title: `Resume backfill ${backfillId}`,
        request: { method: 'POST', path: `/backfills/${backfillId}/resume` },
        cli: ['backfills', 'resume', backfillId],
        preview: says('It continues where it stopped.'),
      }
    case 'backfills.create':
      return from !== undefined && to !== undefined ? backfill(jobId, from, to) : undefined
    default:
      return undefined
  }
}

function backfill(jobId: string, from: string, to: string): Action {
  return {
    title: `Backfill ${jobId} from ${from.slice(0, 16)}Z`,
    request: { method: 'POST', path: `/jobs/${part(jobId)}/backfills`, body: { from, to } },
    cli: ['backfills', 'create', jobId, '--from', from, '--to', to],
    // The preview's calendar is loaded only when needed, because few visits need it.
    preview: async (signal) => (await import('../calendar/dry-run.tsx')).dryRun({ jobId, from, to }, 'missing', signal),
    onDone: (answer) => {
      if (typeof answer === 'object' && answer !== null && 'id' in answer) go(`/backfills/${String(answer.id)}`)
    },
  }
}
