import type { ColumnType, Generated } from 'kysely'
import type { ActorKind, Role } from '../../access/actor.ts'

type Instant = ColumnType<Date | string, Date | string, Date | string>
type NullableInstant = ColumnType<Date | string | null, Date | string | null | undefined, Date | string | null>

export interface TokenTable {
  id: Generated<number>
  /** The SHA-256 of the token, in hexadecimal. */
  digest: string
  name: string
  /** The name; null after the token is revoked. The column is unique, so two tokens that are not revoked can't have the same name. */
  name_key: string | null
  role: Role
  /** Globs of job ids as JSON; null: all jobs. */
  jobs: string | null
  created_at: Instant
  expires_at: NullableInstant
  revoked_at: NullableInstant
  /** When the token was last used, accurate to a minute. */
  used_at: NullableInstant
}

/** A browser's session. It allows what its token allows, while that token is valid. */
export interface SessionTable {
  /** The SHA-256 of the cookie's value, in hexadecimal. */
  digest: string
  token_digest: string
  created_at: Instant
  expires_at: Instant
}

/**
 * `started`: the change is in progress, its process ended during it, or its end could not be recorded. `unknown`: it failed, and may have
 * changed something.
 */
export const AUDIT_OUTCOMES = ['started', 'done', 'unknown'] as const
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number]

export interface AuditTable {
  id: Generated<number>
  began_at: Instant
  ended_at: NullableInstant
  outcome: AuditOutcome
  /** The noun and the verb of the change, such as `jobs.pause`. */
  verb: string
  actor_kind: ActorKind
  actor: string
  job_id: string | null
  target: string | null
  reason: string | null
  /** The request and the states, as JSON without secrets, each at most `MAX_AUDIT_BYTES`. */
  request: string | null
  before_change: string | null
  after_change: string | null
  /** The code of the error of an `unknown` outcome. */
  error_code: string | null
}

export interface AccessTables {
  piko_token: TokenTable
  piko_session: SessionTable
  piko_audit: AuditTable
}
