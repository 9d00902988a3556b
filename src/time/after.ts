import { LONGEST_TIMER_MS } from '../clock.ts'

/** Calls `fn` after `ms` milliseconds, even if this is longer than a timer allows. Returns a function that cancels the call. */
export function after(ms: number, fn: () => void): () => void {
  let timer: NodeJS.Timeout
  const wait = (leftMs: number): void => {
    const isLong = leftMs > LONGEST_TIMER_MS
    timer = setTimeout(isLong ? () => wait(leftMs - LONGEST_TIMER_MS) : fn, isLong ? LONGEST_TIMER_MS : leftMs)
  }
  wait(ms)
  return () => clearTimeout(timer)
}
