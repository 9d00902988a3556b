import type { CallTimer } from './call-timer.ts'
import type { OffloadCall } from './offload-call.ts'
import type { Thread } from './thread.ts'

/** A call, and the thread that executes it. */
export interface Work {
  readonly call: OffloadCall
  readonly thread: Thread
  readonly timer: CallTimer
  readyAt: number | undefined
  /** Whether the thread was ended because it could not begin the call. */
  isFreed: boolean
  /** The timer that ends the thread if the call does not end in time. */
  ending: NodeJS.Timeout | undefined
}

/** Whether the call has not begun because work of the previous call is blocking the thread or has ended it. */
export function isHeldUp({ thread }: Work): boolean {
  return thread.previous !== undefined && !thread.hasBegun
}

/** Whether the thread ended before it began the call. Then the call is not the cause. */
export function isInnocent(work: Work): boolean {
  return isHeldUp(work) && (work.isFreed || !work.thread.isAlive) && work.call.endedBy === undefined
}

/** Ends a thread that can't begin its call, so that the call is repeated in another thread. */
export function free(work: Work): void {
  work.isFreed = true
  void work.thread.end()
}
