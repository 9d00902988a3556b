import { type Action, ActionButton, says } from '../shared/action.tsx'
import { type Answer, part } from '../shared/api.ts'
import { go } from '../shared/router.ts'
import { dryRun } from '../calendar/dry-run.tsx'

export type Change = NonNullable<Answer<'jobs.why'>['steps'][number]['change']>

/** The button that changes what a rule has decided. */
export function ChangeButton({ change }: { readonly change: Change }) {
  const { verb, jobId = '' } = change
  if (verb === 'schedules.set') return <a href={`/jobs/${part(jobId)}`}>Change the schedule</a>
  const action = actionOf(change)
  return action && <ActionButton action={action}>{action.title}…</ActionButton>
}

function actionOf({ verb, jobId = '', runId = 0, backfillId = 0, from, to }: Change): Action | undefined {
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
    preview: (signal) => dryRun({ jobId, from, to }, 'missing', signal),
    onDone: (answer) => {
      if (typeof answer === 'object' && answer !== null && 'id' in answer) go(`/backfills/${String(answer.id)}`)
    },
  }
}
