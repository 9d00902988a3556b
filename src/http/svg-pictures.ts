import { once } from 'node:events'
import { isPikoError, PikoError } from '../errors.ts'
import { startThread } from '../thread-module.ts'
// `import type` is required. With an inline `type`, the import statement would remain without names, and run the thread's code here.
import type { Drawn } from './svg-thread.ts'

type Render = (dot: string) => Promise<string>

/** Draws pictures of a graph. Each version is drawn only once, however many requests there are, and only one version at a time. */
export class SvgPictures {
  readonly #render: Render
  /** Set if the drawing package is not installed. Then the process does not try to load it again. */
  #missing: PikoError | undefined
  #last: { readonly dot: string; readonly svg: Promise<string> } | undefined

  constructor(render: Render = renderInThread) {
    this.#render = render
  }

  /**
   * Returns the picture of a graph.
   *
   * @param dot the graph as Graphviz text; another string is another version
   * @throws PikoError `PACKAGE_MISSING`
   */
  async of(dot: string): Promise<string> {
    if (this.#missing) throw this.#missing
    if (this.#last?.dot === dot) return this.#last.svg
    const before = this.#last?.svg
    const next = { dot, svg: this.#after(before, dot) }
    this.#last = next
    // After an error, the next request draws the picture again.
    next.svg.catch((error: unknown) => {
      if (isPikoError(error, 'PACKAGE_MISSING')) this.#missing = error
      if (this.#last === next) this.#last = undefined
    })
    return next.svg
  }

  async #after(before: Promise<string> | undefined, dot: string): Promise<string> {
    await Promise.allSettled([before])
    return this.#render(dot)
  }
}

/**
 * Draws in a thread, because Graphviz would block the event loop for up to a quarter of a second. The thread ends afterwards, because few
 * processes draw often.
 */
async function renderInThread(dot: string): Promise<string> {
  const thread = startThread('svg-thread', import.meta.url, { workerData: dot, name: 'piko graph' })
  thread.unref()
  try {
    // `once` also rejects if the thread fails.
    const [drawn] = (await once(thread, 'message')) as [Drawn]
    if ('svg' in drawn) return drawn.svg
    throw new PikoError('PACKAGE_MISSING', drawn.missing)
  } finally {
    await thread.terminate()
  }
}
