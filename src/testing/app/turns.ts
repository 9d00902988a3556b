// The timers are imported, because a test may have replaced the global ones.
import { clearTimeout, setImmediate, setTimeout } from 'node:timers'

/** How often to check for changes without an event, such as those of another process, in milliseconds. Most changes have an event. */
const LOOK_MS = 20

/** Lets a test wait for changes of its apps. */
export class Changes {
  #waiting: (() => void)[] = []

  readonly tell = (): void => {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** Resolves after the next change, or after a short time without one. */
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
