/**
 * Closes several things one after another, within one time limit. After the limit, a close that hangs is no longer awaited, and each of the
 * remaining ones gets only a short time.
 */
export class Closing {
  readonly #timer: NodeJS.Timeout
  readonly #over: Promise<void>
  readonly limitMs: number

  constructor(limitMs: number) {
    this.limitMs = limitMs
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#over = promise
    // A timer of `AbortSignal.timeout` is not used, because it does not keep the process alive.
    this.#timer = setTimeout(resolve, limitMs)
  }

  /** Closes something within the limit. @throws the error of `close`, or an error that says that it hangs */
  async within(close: () => unknown): Promise<void> {
    const work = (async () => close())()
    let moment: NodeJS.Timeout | undefined
    const late = this.#over.then(
      () => new Promise<'late'>((resolve) => (moment = setTimeout(resolve, MOMENT_MS, 'late'))),
    )
    const first = await Promise.race([work, late])
    clearTimeout(moment)
    if (first !== 'late') return
    work.catch(dropped)
    throw new Error(`it did not finish within ${this.limitMs} ms and is left behind`)
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

const MOMENT_MS = 50

/** Ignores a late error, because the hanging close has already been reported. */
function dropped(): void {
  return undefined
}
