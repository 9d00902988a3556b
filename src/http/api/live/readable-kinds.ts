import { type Actor, mayAct } from '../../../access/actor.ts'
import { AUDIT_ROLE } from '../../../api/nouns/audit.ts'
import { LIVE_KINDS, type LiveKind } from '../../../live/live-event.ts'

const WITHOUT_AUDIT = LIVE_KINDS.filter((kind) => kind !== 'audit')

/** Returns the kinds of events for an actor who asked for `kinds`; undefined: all. */
export function readableKinds(actor: Actor, kinds: readonly LiveKind[] | undefined): readonly LiveKind[] | undefined {
  return kinds ?? (mayAct(actor.role, AUDIT_ROLE) ? undefined : WITHOUT_AUDIT)
}
