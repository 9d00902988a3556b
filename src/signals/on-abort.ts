interface Listener {
  readonly callbacks: Set<() => void>
  readonly dispatch: () => void
}

const listeners = new WeakMap<AbortSignal, Listener>()

/**
 * Calls `callback` once when the signal aborts. Returns a function that removes the callback. All callbacks of a signal share one listener:
 * Node searches all listeners of a signal each time one is added or removed, which takes seconds with ten thousand.
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
    // A callback may remove others. These are not called any more.
    for (const callback of callbacks) callback()
  }
  const listener = { callbacks, dispatch }
  listeners.set(signal, listener)
  signal.addEventListener('abort', dispatch, { once: true })
  return listener
}
