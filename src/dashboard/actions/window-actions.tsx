import { ActionButton, says } from './action.tsx'
import { part } from '../shared/api.ts'
import { dryRun } from '../calendar/dry-run.tsx'
import { go } from '../shared/router.ts'

/** The range of one job that the user has selected in the grid or the calendar. */
export interface Range {
  readonly jobId: string
  readonly from: string
  readonly to: string
}

/** The actions for the windows of a range. */
export function WindowActions({ range }: { readonly range: Range }) {
  const { jobId, from, to } = range
  const place = `/jobs/${part(jobId)}`
  const flags = ['--from', from, '--to', to] as const
  const openBackfill = (answer: unknown): void => {
    if (typeof answer === 'object' && answer !== null && 'id' in answer) go(`/backfills/${String(answer.id)}`)
  }
  return (
    <div class="row">
      <ActionButton
        isMain
        action={{
          title: 'Backfill missing and stale windows',
          request: { method: 'POST', path: `${place}/backfills`, body: { from, to } },
          cli: ['backfills', 'create', jobId, ...flags],
          preview: (signal) => dryRun(range, 'missing', signal),
          onDone: openBackfill,
        }}
      >
        Backfill…
      </ActionButton>
      <ActionButton
        action={{
          title: 'Run failed windows again',
          request: { method: 'POST', path: `${place}/windows/rerun`, body: { from, to, only: 'failed' } },
          cli: ['windows', 'rerun', jobId, ...flags, '--only', 'failed'],
          preview: (signal) => dryRun(range, 'failed', signal),
          onDone: openBackfill,
        }}
      >
        Run failed again…
      </ActionButton>
      <ActionButton
        action={{
          title: 'Run all windows again',
          request: { method: 'POST', path: `${place}/windows/rerun`, body: { from, to, only: 'all' } },
          cli: ['windows', 'rerun', jobId, ...flags, '--only', 'all'],
          preview: (signal) => dryRun(range, 'all', signal),
          onDone: openBackfill,
        }}
      >
        Run all again…
      </ActionButton>
      <ActionButton
        action={{
          title: 'Mark windows stale',
          request: { method: 'POST', path: `${place}/windows/stale`, body: { from, to } },
          cli: ['windows', 'stale', jobId, ...flags],
          preview: says(
            'The succeeded windows of this range become stale. A backfill of missing windows runs them again.',
          ),
        }}
      >
        Mark stale…
      </ActionButton>
      <a href={`/why/${part(jobId)}?at=${encodeURIComponent(from)}`}>Explain</a>
    </div>
  )
}
