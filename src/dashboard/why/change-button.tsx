import { ActionButton } from '../actions/action.tsx'
import { part } from '../shared/api.ts'
import { knownAction, type KnownChange } from '../actions/known-actions.ts'

/** A button for a change that would change the decision of a rule. */
export function ChangeButton({ change }: { readonly change: KnownChange }) {
  const { verb, jobId = '' } = change
  if (verb === 'schedules.set') return <a href={`/jobs/${part(jobId)}?edit=schedule`}>Change the schedule</a>
  const action = knownAction(change)
  return action && <ActionButton action={action}>{action.title}…</ActionButton>
}
