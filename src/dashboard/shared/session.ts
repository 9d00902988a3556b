import { computed, signal } from '@preact/signals'
import { mayAct, type Role } from '../../access/actor.ts'
import { isLocked, limitedTo, type Request, send } from './api.ts'
import { listen, reloadSoon } from './live.ts'
import { roleFor } from './roles.ts'

/** Who uses this page. */
export interface Session {
  /** How the user was authenticated. `local`: by a request from the server's own machine, which needs no token. */
  readonly kind: string
  readonly name: string
  readonly role: Role
  readonly jobs?: readonly string[]
}

/** Who uses this page. Undefined until the server has answered, and while a token is needed. */
export const session = signal<Session | undefined>(undefined)
export const role = computed<Role>(() => session.value?.role ?? 'viewer')

/** Asks the server who uses this page. */
export async function readSession(): Promise<void> {
  try {
    session.value = (await send({ method: 'GET', path: '/session' })) as Session
    limitedTo.value = session.value.jobs
  } catch {
    // The pages themselves show that a token is needed or that the server does not respond.
    session.value = undefined
  }
}

/** Logs in with a token. @throws ApiError if the token is not valid */
export async function logIn(token: string): Promise<void> {
  await send({ method: 'POST', path: '/session', body: { token } })
  await readSession()
  isLocked.value = false
  listen()
  reloadSoon()
}

export async function logOut(): Promise<void> {
  await send({ method: 'DELETE', path: '/session' })
  session.value = undefined
  await readSession()
  listen()
  reloadSoon()
}

/** Returns why this user may not send a request; undefined if they may. */
export function whyNot(request: Pick<Request, 'path'>): string | undefined {
  const needed = roleFor(request)
  if (session.value === undefined || mayAct(role.value, needed)) return undefined
  return `it needs the role ${needed}; ${session.value.name} has the role ${role.value}`
}
