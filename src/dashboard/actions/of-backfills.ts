import type { BackfillState } from '../../ledger/backfill.ts'
import { type Action, says } from './action.tsx'

export const BACKFILL_CHANGES = ['pause', 'resume', 'cancel'] as const
export type BackfillChange = (typeof BACKFILL_CHANGES)[number]

const EFFECTS: Readonly<Record<BackfillChange, string>> = {
  pause: 'It starts no further runs. Runs in progress continue.',
  resume: 'It continues where it stopped.',
  cancel: 'Its queued and running runs are cancelled, and it creates no more. Windows that have succeeded stay so.',
}

const ALLOWED: Readonly<Record<BackfillChange, readonly BackfillState[]>> = {
  pause: ['running'],
  resume: ['paused'],
  cancel: ['running', 'paused'],
}

export function changeBackfill(id: number, change: BackfillChange): Action {
  return {
    title: `${change[0]?.toUpperCase()}${change.slice(1)} backfill ${id}`,
    request: { method: 'POST', path: `/backfills/${id}/${change}` },
    cli: ['backfills', change, id],
    preview: says(EFFECTS[change]),
  }
}

/** Returns why a backfill in this state can't be changed in this way; undefined if it can. */
export function offFor(change: BackfillChange, state: BackfillState): string | undefined {
  return ALLOWED[change].includes(state) ? undefined : `it is ${state}`
}
