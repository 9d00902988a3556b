import type { Role } from '../../access/actor.ts'

/** Requests that only an administrator may send. A test compares them with the routes of the API. */
const ADMIN: readonly RegExp[] = [/^\/tokens(\/|$)/, /^\/nodes\/settings$/, /^\/runs\/prune$/]

/** Returns the lowest role that may send a request that changes data. */
export function roleFor({ path }: { readonly path: string }): Role {
  return ADMIN.some((pattern) => pattern.test(path)) ? 'admin' : 'operator'
}
