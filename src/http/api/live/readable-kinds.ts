import { type Actor, mayAct } from '../../../access/actor.ts'
import { AUDIT_ROLE } from '../../../api/nouns/audit.ts'
import { LIVE_KINDS, type LiveKind } from '../../../live/live-event.ts'

/** Returns those of the asked kinds of events that an actor may read; undefined: all. */
export function readableKinds(actor: Actor, kinds: readonly LiveKind[] | undefined): readonly LiveKind[] | undefined {
  return mayAct(actor.role, AUDIT_ROLE) ? kinds : (kinds ?? LIVE_KINDS).filter((kind) => kind !== 'audit')
}
