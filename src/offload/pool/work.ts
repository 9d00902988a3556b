import type { CallTimer } from './call-timer.ts'
import type { OffloadCall } from './offload-call.ts'
import type { Thread } from './thread.ts'

/** A call with its thread. */
export interface Work {
  readonly call: OffloadCall
  readonly thread: Thread
  readonly timer: CallTimer
  readyAt: number | undefined
  /** Its thread was ended because it could not begin with the call. */
  isFreed: boolean
  /** Ends the thread if the call does not end by itself. */
  ending: NodeJS.Timeout | undefined
}

/** Whether the thread is still busy with what the call before has left behind, or has died of that. */
export function isHeldUp({ thread }: Work): boolean {
  return thread.previous !== undefined && !thread.hasBegun
}

/** Whether the call never began, so that it is not to blame for the end of its thread. */
export function isInnocent(work: Work): boolean {
  return isHeldUp(work) && (work.isFreed || !work.thread.isAlive) && work.call.endedBy === undefined
}

/** Ends a thread that can't begin with its call. */
export function free(work: Work): void {
  work.isFreed = true
  void work.thread.end()
}
