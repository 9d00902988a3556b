import { computed, signal } from '@preact/signals'

const POLL_MS = 3_000
const SLOWEST_POLL_MS = 30_000

/** How the page learns of changes. */
export type Connection = 'events' | 'polling' | 'lost'

export const connection = signal<Connection>('polling')
/** Grows when shown data may have changed. */
export const revision = signal(0)
/** The browser's time, once a second at most while the page is visible. */
export const now = signal(new Date())
/** Whether the view stays as it is, so that somebody can read it. */
export const isHeld = signal(false)

export const connectionText = computed(() => {
  if (isHeld.value) return 'held'
  if (connection.value === 'lost') return 'no connection, trying again'
  return connection.value === 'events' ? 'live by events' : 'live by polling'
})

let failures = 0

/** Reports whether the last request reached the server. */
export function noteReach(hasReached: boolean): void {
  failures = hasReached ? 0 : failures + 1
  if (hasReached && connection.value === 'lost') connection.value = 'polling'
  if (!hasReached) connection.value = 'lost'
}

/** Starts to follow the fleet. */
export function follow(): void {
  const tick = (): void => {
    if (!document.hidden && !isHeld.value) {
      now.value = new Date()
      if (connection.value !== 'events') revision.value += 1
    }
    setTimeout(tick, Math.min(POLL_MS * 2 ** failures, SLOWEST_POLL_MS))
  }
  setTimeout(tick, POLL_MS)
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) revision.value += 1
  })
}
