import { propertyOf } from '../errors-read.ts'
import { isPikoError, PikoError, toError } from '../errors.ts'
import { isList } from '../options.ts'
import { unstopped } from '../service/service-report.ts'
import type { Service } from '../service/service.ts'
import { CLOSING_MS, STOP_MARGIN_MS, stopPlan } from '../engine/execution/stop-plan.ts'

export interface StopParts {
  readonly shutdownTimeoutMs: number
  readonly graceMs: number
}

/** A stop waits at most this long for a start in progress, and then abandons it. */
const MAX_START_GRACE_MS = 5_000

/** The time limits of an app's stop. They start when `stop` is called, those of the service tree when the tree begins to stop. */
export class AppStop {
  readonly #parts: StopParts

  constructor(parts: StopParts) {
    this.#parts = parts
  }

  /** How long stopping the tree may take. After that, the stop no longer waits for services that hang. */
  get treeTimeoutMs(): number {
    return this.#parts.shutdownTimeoutMs + CLOSING_MS
  }

  /**
   * Watches the tree, and starts the time limits when it begins to stop. A worker above the app may stop it without a call to `app.stop()`.
   */
  watch(root: Service, node: { beginStop(): void }, cutDatabase: () => void): void {
    const { shutdownTimeoutMs, graceMs } = this.#parts
    let late: NodeJS.Timeout | undefined
    root.observe({
      stateChanged(service, _from, to) {
        if (service !== root) return
        clearTimeout(late)
        if (to !== 'stopping') return
        node.beginStop()
        // A database that accepts statements but never answers would block the stop forever.
        late = setTimeout(cutDatabase, stopPlan(shutdownTimeoutMs, graceMs).cutAtMs)
      },
    })
  }

  /** Waits until the start has succeeded or failed. @returns false if it takes too long */
  async startEnded(start: Promise<void>): Promise<boolean> {
    const ended = start.then(
      () => true,
      () => true,
    )
    return atMost(Math.min(MAX_START_GRACE_MS, this.#parts.shutdownTimeoutMs), ended, () => false)
  }

  /**
   * Waits for the stop, but not longer than the time limits.
   *
   * @throws PikoError `STOP_INCOMPLETE` that names what has not stopped, or what could not be stopped or stored
   * @throws other errors of the stop
   */
  async within(stop: Promise<void>, root: () => Service | undefined): Promise<void> {
    const limitMs = this.#parts.shutdownTimeoutMs + STOP_MARGIN_MS
    await atMost(limitMs, stop.catch(throwSummary), () => {
      const tree = root()
      const names = tree ? unstopped(tree) : ['the start of the app, which loads the jobs']
      const what = names.length > 0 ? names.join(', ') : 'the deferred clean-up'
      throw new PikoError('STOP_INCOMPLETE', `not stopped within ${limitMs} ms: ${what}`, { details: { left: names } })
    })
  }
}

/** Throws one error with all messages if one of several errors is `STOP_INCOMPLETE`. Otherwise throws the given error again, unchanged. */
function throwSummary(thrown: unknown): never {
  const parts = new Set(partsOf(toError(thrown)))
  if (parts.size === 1 || ![...parts].some((error) => isPikoError(error, 'STOP_INCOMPLETE'))) throw thrown
  const messages = new Set([...parts].map(({ message }) => message))
  throw new PikoError('STOP_INCOMPLETE', [...messages].join('; '), { cause: thrown })
}

const MAX_PARTS = 1_000

/** Returns the innermost parts of an error. An `AggregateError` may contain itself. */
function partsOf(thrown: unknown, seen = new Set<unknown>()): Error[] {
  if (seen.has(thrown) || seen.size >= MAX_PARTS) return []
  seen.add(thrown)
  const parts = thrown instanceof AggregateError ? propertyOf(thrown, 'errors') : undefined
  return isList(parts) && parts.length > 0 ? parts.flatMap((part) => partsOf(part, seen)) : [toError(thrown)]
}

async function atMost<T>(ms: number, work: Promise<T>, late: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<'over'>((resolve) => (timer = setTimeout(resolve, ms, 'over')))
  try {
    const first = await Promise.race([work.then((value) => ({ value })), over])
    return first === 'over' ? late() : first.value
  } finally {
    clearTimeout(timer)
  }
}
