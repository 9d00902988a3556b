import { ActionButton } from '../actions/action.tsx'
import { cancelRuns, replayRuns } from '../actions/of-runs.tsx'
import type { Query } from '../shared/api.ts'

/** The buttons that replay or cancel all matching runs. Their dialogs first show how many runs match. */
export function BulkActions({ filter }: { readonly filter: Query }) {
  const { state, error, kind, from, to } = filter
  const isEnded = state === 'failed' || state === 'cancelled'
  const isOpen = state === 'queued' || state === 'running'
  return (
    <>
      <ActionButton
        off={offWith({ kind, from, to }, isEnded ? undefined : 'filter by state "failed" or "cancelled" first')}
        action={replayRuns(filter)}
      >
        Replay all…
      </ActionButton>
      <ActionButton
        off={offWith({ kind, from, to, error }, isOpen ? undefined : 'filter by state "queued" or "running" first')}
        action={cancelRuns(filter)}
      >
        Cancel all…
      </ActionButton>
    </>
  )
}

/**
 * Returns why a bulk action is off. A bulk operation ignores filters that it does not support, so it could change runs that the page does
 * not show.
 */
function offWith(others: Query, otherwise: string | undefined): string | undefined {
  const [first] = Object.entries(others).find(([, value]) => value !== undefined) ?? []
  return first === undefined ? otherwise : `remove the filter "${first}", which this action does not have`
}
