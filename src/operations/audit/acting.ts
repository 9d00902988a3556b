import { AsyncLocalStorage } from 'node:async_hooks'
import { hostname, userInfo } from 'node:os'
import type { Actor } from '../../access/actor.ts'
import { safely } from '../../errors-read.ts'

/** The actor who makes the current calls, and the reason. */
export interface Acting {
  readonly actor: Actor
  readonly reason: string | undefined
}

const acting = new AsyncLocalStorage<Acting | undefined>()

/** Makes an actor responsible for all changes that `fn` requests. */
export function withActor<T>(actor: Actor, reason: string | undefined, fn: () => T): T {
  return acting.run({ actor, reason }, fn)
}

/** Runs `fn` without an actor, so that work that it starts, such as a run on this node, does not later act in the caller's name. */
export function withoutActor<T>(fn: () => T): T {
  return acting.getStore() === undefined ? fn() : acting.run(undefined, fn)
}

/** The current actor; undefined in the code of a program that names none. */
export function actingNow(): Acting | undefined {
  return acting.getStore()
}

/** The user and the host of this process: `anna@worker-3`. */
export function processName(): string {
  // A container may run with a user id that has no name.
  const user = safely(() => userInfo().username, '') || `uid ${process.getuid?.() ?? 'unknown'}`
  return `${user}@${hostname()}`
}
