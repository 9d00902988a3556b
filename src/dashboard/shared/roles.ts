import type { Role } from '../../access/actor.ts'

/** The changes that only an administrator may make. A test compares them with the routes of the API. */
const ADMIN: readonly RegExp[] = [/^\/tokens(\/|$)/, /^\/nodes\/settings$/, /^\/runs\/prune$/]

/** The lowest role that may send a changing request. */
export function roleFor({ path }: { readonly path: string }): Role {
  return ADMIN.some((pattern) => pattern.test(path)) ? 'admin' : 'operator'
}
