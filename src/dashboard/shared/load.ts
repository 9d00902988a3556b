import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError } from './api.ts'
import { noteReach, revision } from './live.ts'

export interface Loaded<T> {
  /** Kept while newer data loads, and after an error. */
  readonly data: T | undefined
  readonly error: Error | undefined
  readonly isLoading: boolean
  readonly retry: () => void
}

/**
 * Loads data and loads it again when it may have changed.
 *
 * @param key selects the data: another key drops what is there. Undefined: loads nothing
 */
export function useLoad<T>(key: string | undefined, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ key: string | undefined; data?: T; error?: Error; isLoading: boolean }>({
    key,
    isLoading: true,
  })
  const [tries, setTries] = useState(0)
  const latest = useRef(load)
  latest.current = load
  const version = revision.value
  useEffect(() => {
    if (key === undefined) return
    const stop = new AbortController()
    const ended = (change: { data: T } | { error: Error }): void => {
      if (stop.signal.aborted) return
      setState((before) => ({
        ...(before.key === key && 'error' in change ? before : {}),
        key,
        isLoading: false,
        ...change,
      }))
    }
    latest.current(stop.signal).then(
      (data) => {
        noteReach(true)
        ended({ data })
      },
      (error: unknown) => {
        if (stop.signal.aborted) return
        noteReach(!(error instanceof ApiError) || error.status !== 0)
        ended({ error: error instanceof Error ? error : new Error(String(error)) })
      },
    )
    return () => stop.abort()
  }, [key, version, tries])
  const isSame = state.key === key
  return {
    data: isSame ? state.data : undefined,
    error: isSame ? state.error : undefined,
    isLoading: !isSame || state.isLoading,
    retry: () => setTries((count) => count + 1),
  }
}
