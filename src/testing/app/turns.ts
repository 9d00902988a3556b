// Imported, because a test may have replaced the global timers.
import { clearTimeout, setImmediate, setTimeout } from 'node:timers'

/** Most changes have an event. This interval is only for changes without one, such as those of another process. */
const LOOK_MS = 20

/** Lets a test wait for changes of its apps. */
export class Changes {
  #waiting: (() => void)[] = []

  readonly tell = (): void => {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** Resolves after the next change, at most a moment later. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS)
      this.#waiting.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
    await nextTurn()
  }
}

/** Resolves in the next turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
