import { computed, signal } from '@preact/signals'
import { createClient } from '../../client/index.ts'

const POLL_MS = 3_000
const SLOWEST_POLL_MS = 30_000
/** How often data that causes no event is reloaded, such as a heartbeat or the progress of a run. */
const REFRESH_MS = 10_000
/** Changes within this time cause only one reload. */
const GATHER_MS = 300
/** The maximum share of the time that reloads after events may take. A slow page therefore reloads less often. */
const BUSY_PART = 0.25
/** If no event arrives within this time, a proxy probably buffers the stream. */
const SILENT_MS = 8_000
const TRY_STREAM_AGAIN_MS = 60_000

/** How the page receives changes. */
export type Connection = 'events' | 'polling' | 'lost'

export const connection = signal<Connection>('polling')
/** Increases when the displayed data may have changed. */
export const revision = signal(0)
/** The browser's time. It changes once per second while the page is visible and updates are not paused. */
export const now = signal(new Date())
/** Whether updates are paused, so that the user can read the page undisturbed. */
export const isHeld = signal(false)

export const connectionText = computed(() => {
  if (isHeld.value) return 'held'
  if (connection.value === 'lost') return 'no connection, trying again'
  return connection.value === 'events' ? 'live by events' : 'live by polling'
})

let failures = 0
let lastReloadMs = 0
let reloadBegan = 0
let gathering: ReturnType<typeof setTimeout> | undefined
let stream: AbortController | undefined
/** The id of the last received event. A new connection continues after it. */
let after: number | undefined

/** Records whether the last request reached the server, and how long the response took. */
export function noteReach(hasReached: boolean, ms = 0): void {
  failures = hasReached ? 0 : failures + 1
  lastReloadMs = Math.max(lastReloadMs, ms)
  if (!hasReached) connection.value = 'lost'
  else if (connection.value === 'lost') {
    connection.value = 'polling'
    // After failures, the stream waits longer before each new attempt. The server answers now, so it is opened again immediately.
    listen()
  }
}

/** Reloads the displayed data after a short delay. Many changes at the same time cause only one reload. Slow pages reload less often. */
export function reloadSoon(): void {
  if (gathering !== undefined) return
  const wait = Math.max(GATHER_MS, reloadBegan + lastReloadMs / BUSY_PART - performance.now())
  gathering = setTimeout(() => {
    gathering = undefined
    if (!document.hidden && !isHeld.value) reload()
  }, wait)
}

function reload(): void {
  reloadBegan = performance.now()
  lastReloadMs = 0
  revision.value += 1
}

/** Starts to follow the fleet through its events. Also polls, more often while no events arrive. */
export function follow(): void {
  setInterval(() => {
    if (!document.hidden && !isHeld.value) now.value = new Date()
  }, 1_000)
  const poll = (): void => {
    if (!document.hidden && !isHeld.value && gathering === undefined) reload()
    const usual = connection.value === 'events' ? REFRESH_MS : POLL_MS
    setTimeout(poll, Math.min(usual * 2 ** failures, SLOWEST_POLL_MS))
  }
  setTimeout(poll, POLL_MS)
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return
    now.value = new Date()
    reload()
  })
  isHeld.subscribe((held) => {
    if (!held) reload()
  })
  listen()
}

/** Opens the stream of events. Closes an earlier one. */
export function listen(): void {
  stream?.abort()
  stream = new AbortController()
  void hear(stream)
}

async function hear(own: AbortController): Promise<void> {
  const { signal } = own
  const later = (): void => {
    setTimeout(() => stream === own && listen(), TRY_STREAM_AGAIN_MS)
  }
  const giveUp = (): void => {
    own.abort()
    if (connection.value === 'events') connection.value = 'polling'
    later()
  }
  let silence: ReturnType<typeof setTimeout> | undefined = setTimeout(giveUp, SILENT_MS)
  const onConnect = (): void => {
    clearTimeout(silence)
    connection.value = 'events'
    failures = 0
    // Events from before this connection may be missing, but the reload shows their effects.
    reloadSoon()
  }
  const onDisconnect = (): void => {
    if (connection.value === 'events') connection.value = 'lost'
    clearTimeout(silence)
    silence = setTimeout(giveUp, SILENT_MS)
  }
  try {
    const client = createClient({ url: location.origin })
    for await (const item of client.events({
      ...(after !== undefined && { after }),
      signal,
      onConnect,
      onDisconnect,
    })) {
      after = item.id
      reloadSoon()
    }
  } catch {
    // The token does not allow following events, or there is no token yet. Requests still work, and a login opens the stream again.
    if (stream === own && connection.value === 'events') connection.value = 'polling'
  } finally {
    clearTimeout(silence)
  }
}
