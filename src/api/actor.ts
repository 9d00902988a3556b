/** The roles of a request's author; each may do all that the ones before it may. */
export const ROLES = ['viewer', 'operator', 'admin'] as const

export type Role = (typeof ROLES)[number]

export type ActorKind = 'token' | 'session' | 'local' | 'cli' | 'code'

/** Who makes a request. */
export interface Actor {
  readonly kind: ActorKind
  readonly name: string
  readonly role: Role
  /** Globs of the jobs that it may see and change. Undefined: all jobs. */
  readonly jobs?: readonly string[]
}

/** What a request is about: a job, or an object that belongs to one. */
export type JobOf =
  | { readonly job: string }
  | { readonly jobs: readonly string[] }
  | { readonly run: number }
  | { readonly backfill: number }
  | { readonly batch: number }
  | { readonly item: number }
