import { part } from '../shared/api.ts'
import { ActionButton } from './action.tsx'
import { createBackfill, markStale, type Range, rerunWindows } from './of-windows.ts'

/** The actions for the windows of a range that the user has selected in the grid or the calendar. */
export function WindowActions({ range }: { readonly range: Range }) {
  return (
    <div class="row">
      <ActionButton isMain action={createBackfill(range, 'Backfill missing and stale windows')}>
        Backfill…
      </ActionButton>
      <ActionButton action={rerunWindows(range, 'failed', 'Run failed windows again')}>Run failed again…</ActionButton>
      <ActionButton action={rerunWindows(range, 'all', 'Run all windows again')}>Run all again…</ActionButton>
      <ActionButton action={markStale(range, 'Mark windows stale')}>Mark stale…</ActionButton>
      <a href={`/why/${part(range.jobId)}?at=${encodeURIComponent(range.from)}`}>Explain</a>
    </div>
  )
}
