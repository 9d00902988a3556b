// Entry point of the thread that guard-thread.ts starts. In the source tree, Node itself strips the types, so this file imports only
// modules for which that works.
import { type MessagePort, parentPort } from 'node:worker_threads'

/** Tells the thread which module's function `guard` to run. */
export interface GuardOrder {
  readonly url: string
  readonly port: MessagePort
  readonly data: unknown
  /** Whether an error while the module is loaded only closes the port. Otherwise it ends the thread. */
  readonly mayFail: boolean
}

interface GuardModule {
  guard(port: MessagePort, data: unknown): void
}

parentPort?.on('message', ({ url, port, data, mayFail }: GuardOrder) => {
  const guarded = import(url).then((module: GuardModule) => module.guard(port, data))
  if (mayFail) guarded.catch(() => port.close())
})
