/**
 * The roles, from the one with the fewest permissions to the one with the most. Each role may do everything that the roles before it may
 * do.
 */
export const ROLES = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof ROLES)[number]

export const ACTOR_KINDS = ['token', 'session', 'local', 'cli', 'code'] as const

/**
 * How the author of a request was identified: by a bearer token, or by the cookie of a browser's session. `local` is a request from this
 * machine without either. The other kinds are the command line and the code of a program.
 */
export type ActorKind = (typeof ACTOR_KINDS)[number]

/** The user or program that makes a request. */
export interface Actor {
  readonly kind: ActorKind
  /**
   * The name of a token; `user@host` on the command line; in code the name given to `app.as`, by default `user@host`; `loopback` for
   * `local`.
   */
  readonly name: string
  readonly role: Role
  /** Globs of the job ids to which the actor is limited. Default: all jobs. */
  readonly jobs?: readonly string[] | undefined
}

export function mayAct(role: Role, required: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(required)
}

export function isRole(value: unknown): value is Role {
  return ROLES.some((role) => role === value)
}
