/**
 * `waiting`: it has no run until the windows that it depends on have succeeded. `pending`: its run has not ended. `stale`: it has
 * succeeded, but a window that it depends on ran again afterwards.
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
