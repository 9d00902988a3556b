import type { ComponentChildren } from 'preact'
import { type Query, send } from '../shared/api.ts'
import { numberText } from '../shared/format.ts'
import { type Action, says } from './action.tsx'

/** @param effect what happens to this run, if the page knows its state */
export function cancelRun(runId: number, effect?: ComponentChildren): Action {
  return {
    title: `Cancel run ${runId}`,
    request: { method: 'POST', path: `/runs/${runId}/cancel` },
    cli: ['runs', 'cancel', runId],
    preview: says(
      effect ?? 'A queued run never starts. The node of a running one aborts its handler within two seconds.',
    ),
  }
}

/** @param effect what happens to this run, if the page knows its parts */
export function replayRun(runId: number, effect?: ComponentChildren): Action {
  return {
    title: `Replay run ${runId}`,
    request: { method: 'POST', path: `/runs/${runId}/replay` },
    cli: ['runs', 'replay', runId],
    preview: says(
      effect ?? 'The run goes back to the queue as new, with the same input. Its attempts stay in the history.',
    ),
  }
}

/** The action that replays all matching runs. */
export function replayRuns({ jobId, error, state }: Query, title = 'Replay all matching runs'): Action {
  const body = given({ jobId, error, state })
  const request = { method: 'POST', path: '/runs/replay', body } as const
  return {
    ...{ title, request },
    cli: ['runs', 'replay', ...flags(body)],
    preview: async (signal) => {
      const { count, superseded } = (await send({ ...request, body: { ...body, dryRun: true } }, signal)) as {
        count: number
        superseded: number
      }
      return (
        <p>
          Queues {numberText(count)} runs again as new, with their windows. Leaves {numberText(superseded)} unchanged,
          because their windows have run again since.
        </p>
      )
    },
  }
}

/** The action that cancels all matching runs that are queued or running. */
export function cancelRuns({ jobId, state }: Query, title = 'Cancel all matching runs'): Action {
  const body = given({ jobId, state })
  const request = { method: 'POST', path: '/runs/cancel', body } as const
  return {
    ...{ title, request },
    cli: ['runs', 'cancel', ...flags(body)],
    preview: async (signal) => {
      const { cancelled, requested } = (await send({ ...request, body: { ...body, dryRun: true } }, signal)) as {
        cancelled: number
        requested: number
      }
      return (
        <p>
          Ends {numberText(cancelled)} queued runs, and asks nodes to end {numberText(requested)} running ones.
        </p>
      )
    },
  }
}

function given(values: Query): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}

function flags(values: Readonly<Record<string, unknown>>): string[] {
  const names: Readonly<Record<string, string>> = { jobId: '--job' }
  return Object.entries(values).flatMap(([name, value]) => [names[name] ?? `--${name}`, String(value)])
}
