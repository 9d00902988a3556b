/** Closes one after the other, all within one time. What hangs past it is left behind, and the rest still gets a moment. */
export class Closing {
  readonly #timer: NodeJS.Timeout
  readonly #over: Promise<void>
  readonly limitMs: number

  constructor(limitMs: number) {
    this.limitMs = limitMs
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#over = promise
    // Not `AbortSignal.timeout`, which lets a process end that waits for nothing else.
    this.#timer = setTimeout(resolve, limitMs)
  }

  /** @throws what `close` throws; an error that says so when it hangs */
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
    throw new Error(`it did not come to its end within ${this.limitMs} ms and is left behind`)
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

const MOMENT_MS = 50

/** It was reported as hanging. */
function dropped(): void {
  return undefined
}
