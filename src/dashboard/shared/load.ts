import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError } from './api.ts'
import { noteReach, revision } from './live.ts'

export interface Loaded<T> {
  /** The data. It stays while newer data is loading, and after an error. */
  readonly data: T | undefined
  readonly error: Error | undefined
  readonly isLoading: boolean
  readonly retry: () => void
}

/**
 * Loads data, and loads it again when it may have changed. A reload never interrupts a running load of the same data, but starts after it.
 *
 * @param key selects the data. A new key drops the current data; undefined loads nothing
 */
export function useLoad<T>(key: string | undefined, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ key: string | undefined; data?: T; error?: Error; isLoading: boolean }>({
    key,
    isLoading: true,
  })
  const [tries, setTries] = useState(0)
  const latest = useRef(load)
  latest.current = load
  const again = useRef<() => void>(undefined)
  const version = revision.value
  useEffect(() => {
    if (key === undefined) return
    const stop = new AbortController()
    let isBusy = false
    let isStale = false
    const ended = (change: { data: T } | { error: Error }): void => {
      setState((before) => ({
        ...(before.key === key && 'error' in change ? before : {}),
        key,
        isLoading: false,
        ...change,
      }))
    }
    const read = async (): Promise<void> => {
      isBusy = true
      const began = performance.now()
      try {
        const data = await latest.current(stop.signal)
        if (stop.signal.aborted) return
        noteReach(true, performance.now() - began)
        ended({ data })
      } catch (error) {
        if (stop.signal.aborted) return
        noteReach(!(error instanceof ApiError) || error.status !== 0)
        ended({ error: error instanceof Error ? error : new Error(String(error)) })
      }
      isBusy = false
      if (isStale) start()
    }
    const start = (): void => {
      isStale = isBusy
      if (!isBusy) void read()
    }
    again.current = start
    start()
    return () => {
      again.current = undefined
      stop.abort()
    }
  }, [key])
  const isFirst = useRef(true)
  useEffect(() => {
    if (!isFirst.current) again.current?.()
    isFirst.current = false
  }, [version, tries])
  const isSame = state.key === key
  return {
    data: isSame ? state.data : undefined,
    error: isSame ? state.error : undefined,
    isLoading: !isSame || state.isLoading,
    retry: () => setTries((count) => count + 1),
  }
}
