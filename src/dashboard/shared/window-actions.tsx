import { ActionButton, says } from './action.tsx'
import { type Answer, part, send } from './api.ts'
import { numberText } from './format.ts'
import { Instant } from './parts.tsx'
import { go } from './router.ts'

/** A range of one job, such as people select it in the grid or calendar. */
export interface Range {
  readonly jobId: string
  readonly from: string
  readonly to: string
}

const PREVIEWED = 500

/** What one can do with the windows of a range. */
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

/** Asks the server which windows a backfill would run. */
export async function dryRun({ jobId, from, to }: Range, only: string, signal: AbortSignal) {
  const body = { from, to, only, limit: PREVIEWED }
  const path = `/jobs/${part(jobId)}/backfills/preview`
  const { items, isWhole } = (await send({ method: 'POST', path, body }, signal)) as Answer<'backfills.preview'>
  const [first] = items
  const last = items.at(-1)
  if (!first || !last) return <p>No window of this range would run.</p>
  return (
    <>
      <p>
        Runs {isWhole ? numberText(items.length) : `more than ${numberText(items.length)}`} windows, from{' '}
        <Instant at={first.start} />{' '}
        {isWhole && (
          <>
            to <Instant at={last.end} />
          </>
        )}
        :
      </p>
      <ul class="preview-list">
        {items.slice(0, 20).map(({ start, state }) => (
          <li key={start}>
            <Instant at={start} /> {state !== undefined && <span class="quiet">now {state}</span>}
          </li>
        ))}
        {items.length > 20 && <li class="quiet">and {numberText(items.length - 20)} more</li>}
      </ul>
    </>
  )
}
