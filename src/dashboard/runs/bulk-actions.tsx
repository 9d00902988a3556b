import { ActionButton } from '../actions/action.tsx'
import { type Query, send } from '../shared/api.ts'
import { numberText } from '../shared/format.ts'

/** Cancels or replays all matching runs. First shows how many they are. */
export function BulkActions({ filter }: { readonly filter: Query }) {
  return (
    <>
      <Replay filter={filter} />
      <Cancel filter={filter} />
    </>
  )
}

function Replay({ filter: { jobId, state, error, kind, from, to } }: { readonly filter: Query }) {
  const isEnded = state === 'failed' || state === 'cancelled'
  const body = given({ jobId, error, state: isEnded ? state : undefined })
  const off = offWith({ kind, from, to }, isEnded ? undefined : 'filter by state "failed" or "cancelled" first')
  const request = { method: 'POST', path: '/runs/replay', body } as const
  return (
    <ActionButton
      off={off}
      action={{
        title: 'Replay all matching runs',
        request,
        cli: ['runs', 'replay', ...flags(body)],
        preview: async (signal) => {
          const { count, superseded } = (await send({ ...request, body: { ...body, dryRun: true } }, signal)) as {
            count: number
            superseded: number
          }
          return (
            <p>
              Queues {numberText(count)} runs again as new, with their windows. Leaves {numberText(superseded)}{' '}
              unchanged, because their windows have run again since.
            </p>
          )
        },
      }}
    >
      Replay all…
    </ActionButton>
  )
}

function Cancel({ filter: { jobId, state, error, kind, from, to } }: { readonly filter: Query }) {
  const isOpen = state === 'queued' || state === 'running'
  const body = given({ jobId, state: isOpen ? state : undefined })
  const off = offWith({ kind, from, to, error }, isOpen ? undefined : 'filter by state "queued" or "running" first')
  const request = { method: 'POST', path: '/runs/cancel', body } as const
  return (
    <ActionButton
      off={off}
      action={{
        title: 'Cancel all matching runs',
        request,
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
      }}
    >
      Cancel all…
    </ActionButton>
  )
}

function given(values: Query): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
}

/** A bulk operation ignores a filter that it does not support. It would then select other runs than those on the page. */
function offWith(others: Query, otherwise: string | undefined): string | undefined {
  const [first] = Object.entries(others).find(([, value]) => value !== undefined) ?? []
  return first === undefined ? otherwise : `remove the filter "${first}", which this action does not have`
}

function flags(values: Readonly<Record<string, unknown>>): string[] {
  const names: Readonly<Record<string, string>> = { jobId: '--job' }
  return Object.entries(values).flatMap(([name, value]) => [names[name] ?? `--${name}`, String(value)])
}
