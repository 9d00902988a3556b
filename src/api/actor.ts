export { type Actor, type Role, ROLES } from '../access/actor.ts'

/** What a request is about: one or more jobs, or something that belongs to a job. */
export type JobOf =
  | { readonly job: string }
  | { readonly jobs: readonly string[] }
  | { readonly run: number }
  | { readonly backfill: number }
  | { readonly batch: number }
  | { readonly item: number }
