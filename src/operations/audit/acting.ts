import { AsyncLocalStorage } from 'node:async_hooks'
import { hostname, userInfo } from 'node:os'
import type { Actor } from '../../access/actor.ts'
import { describe, safely } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'

/** Who makes the current calls, and why. */
export interface Acting {
  readonly actor: Actor
  readonly reason: string | undefined
}

const acting = new AsyncLocalStorage<Acting | undefined>()

/** Makes an actor the author of all changes that `fn` requests. */
export function withActor<T>(actor: Actor, reason: string | undefined, fn: () => T): T {
  if (typeof fn !== 'function')
    throw new PikoError('USAGE', `app.as got ${describe(fn)} as its second argument; expected a function`)
  return acting.run({ actor, reason }, fn)
}

/** Runs `fn` without an actor. Otherwise work that it starts, such as a run on this node, would later act on the caller's behalf. */
export function withoutActor<T>(fn: () => T): T {
  return acting.getStore() === undefined ? fn() : acting.run(undefined, fn)
}

/** Returns the current actor and reason. Undefined if none was set, as for calls that a program makes by itself. */
export function actingNow(): Acting | undefined {
  return acting.getStore()
}

/** Returns the user and the host of this process: `anna@worker-3`. */
export function processName(): string {
  // In a container, the process may have a user id without a name.
  const user = safely(() => userInfo().username, '') || `uid ${process.getuid?.() ?? 'unknown'}`
  return `${user}@${hostname()}`
}
