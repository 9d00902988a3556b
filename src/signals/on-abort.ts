interface Listener {
  readonly callbacks: Set<() => void>
  readonly dispatch: () => void
}

const listeners = new WeakMap<AbortSignal, Listener>()

/**
 * Calls `callback` once when the signal aborts. Returns a function that removes it. All callbacks of a signal share one listener, because
 * Node searches all listeners of a signal for each one added or removed. With ten thousand, that takes seconds.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const listener = listeners.get(signal) ?? listenTo(signal)
  listener.callbacks.add(callback)
  return () => {
    listener.callbacks.delete(callback)
    if (listener.callbacks.size > 0 || listeners.get(signal) !== listener) return
    listeners.delete(signal)
    signal.removeEventListener('abort', listener.dispatch)
  }
}

function listenTo(signal: AbortSignal): Listener {
  const callbacks = new Set<() => void>()
  const dispatch = (): void => {
    listeners.delete(signal)
    // A callback may remove others, which are then not called.
    for (const callback of callbacks) callback()
  }
  const listener = { callbacks, dispatch }
  listeners.set(signal, listener)
  signal.addEventListener('abort', dispatch, { once: true })
  return listener
}
