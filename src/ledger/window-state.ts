/**
 * `waiting`: it has no run until the windows that it depends on have succeeded. `pending`: it has a run that is not settled. `stale`: it
 * has succeeded, and a window that it depends on ran again after that.
 */
export type WindowState = 'pending' | 'succeeded' | 'failed' | 'cancelled' | 'skipped' | 'waiting' | 'stale'

export const WINDOW_STATES: readonly WindowState[] = [
  'pending',
  'succeeded',
  'failed',
  'cancelled',
  'skipped',
  'waiting',
  'stale',
]
