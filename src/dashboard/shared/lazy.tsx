import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Failure } from './parts.tsx'

/** Creates a component whose code is loaded when it is first shown. */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let made: ComponentType<P> | undefined
  return function Lazy(props: P) {
    const [, redraw] = useState(0)
    const [error, setError] = useState<Error>()
    const start = (): void => {
      setError(undefined)
      load().then(
        (component) => {
          made = component
          redraw((count) => count + 1)
        },
        (cause: unknown) => setError(new Error(`The code of this page did not load: ${String(cause)}`)),
      )
    }
    useEffect(() => {
      if (!made) start()
    }, [])
    if (error) return <Failure error={error} retry={start} />
    const Page = made
    return Page ? <Page {...props} /> : <p class="loading">Loading…</p>
  }
}
