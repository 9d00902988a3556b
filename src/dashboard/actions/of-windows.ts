import { part } from '../shared/api.ts'
import { type Action, says } from './action.tsx'
import { openStored } from './of-jobs.ts'

/** A range of one job's windows. The bounds are instants, or days in the zone of the job. */
export interface Range {
  readonly jobId: string
  readonly from: string
  readonly to: string
}

/** The action that creates a backfill. @param only which windows: `missing`, `failed` or `all`. Default: missing */
export function createBackfill({ jobId, from, to }: Range, title: string, only?: string): Action {
  return {
    title,
    request: {
      method: 'POST',
      path: `/jobs/${part(jobId)}/backfills`,
      body: { from, to, ...(only !== undefined && { only }) },
    },
    cli: [
      ...['backfills', 'create', jobId, '--from', from, '--to', to],
      ...(only === undefined ? [] : ['--only', only]),
    ],
    preview: (signal) => dryRunOf({ jobId, from, to }, only ?? 'missing', signal),
    onDone: openStored('/backfills'),
  }
}

export function rerunWindows({ jobId, from, to }: Range, only: 'failed' | 'all', title: string): Action {
  return {
    title,
    request: { method: 'POST', path: `/jobs/${part(jobId)}/windows/rerun`, body: { from, to, only } },
    cli: ['windows', 'rerun', jobId, '--from', from, '--to', to, '--only', only],
    preview: (signal) => dryRunOf({ jobId, from, to }, only, signal),
    onDone: openStored('/backfills'),
  }
}

export function markStale({ jobId, from, to }: Range, title: string): Action {
  return {
    title,
    request: { method: 'POST', path: `/jobs/${part(jobId)}/windows/stale`, body: { from, to } },
    cli: ['windows', 'stale', jobId, '--from', from, '--to', to],
    preview: says('The succeeded windows of this range become stale. A backfill of missing windows runs them again.'),
  }
}

/** The calendar of the dry run is loaded only when needed, because few visits need it. */
async function dryRunOf(range: Range, only: string, signal: AbortSignal) {
  return (await import('../calendar/dry-run.tsx')).dryRun(range, only, signal)
}
