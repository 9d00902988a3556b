export { type Actor, type Role, ROLES } from '../access/actor.ts'

/** The subject of a request: a job, or an object that belongs to one. */
export type JobOf =
  | { readonly job: string }
  | { readonly jobs: readonly string[] }
  | { readonly run: number }
  | { readonly backfill: number }
  | { readonly batch: number }
  | { readonly item: number }
