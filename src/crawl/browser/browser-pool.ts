import type { Browser } from 'playwright-core'
import { GuardProxy } from '../../http-client/guard-proxy.ts'
import { publicLookup } from '../../http-client/public-address.ts'
import { Semaphore } from '../../resource/semaphore.ts'
import type { BrowserOptions } from './browser-options.ts'
import { startChromium } from './chromium.ts'

const DEFAULT_SIZE = 4
const DEFAULT_RECYCLE = 200

interface Running {
  readonly browser: Promise<Browser>
  readonly isPrivate: boolean
  uses: number
  open: number
  isRetired: boolean
}

type Work<T> = (browser: Browser, retire: () => void) => Promise<T>

/**
 * Limits the number of pages that use a browser at the same time, and replaces a browser that has loaded `recycle` pages or has crashed.
 */
export class BrowserPool {
  readonly #options: Partial<BrowserOptions>
  readonly #places: Semaphore
  #running: Running | undefined
  readonly #retired = new Set<Running>()
  #guard: Promise<GuardProxy> | undefined

  constructor(options: Partial<BrowserOptions>) {
    this.#options = options
    this.#places = new Semaphore(options.size ?? DEFAULT_SIZE)
  }

  /**
   * Waits until one more page may be opened, and then calls `work` with a browser.
   *
   * @param isPrivate whether the page may load from private addresses
   * @param work also receives a function that replaces the browser; it calls this function if the browser no longer responds
   * @throws the reason of the signal, PikoError `PACKAGE_MISSING` or `RESOURCE_FAILED`, or any error of `work`
   */
  async with<T>(isPrivate: boolean, signal: AbortSignal, work: Work<T>): Promise<T> {
    await this.#places.acquire(signal)
    const running = this.#take(isPrivate)
    try {
      return await work(await running.browser, () => this.#retire(running))
    } finally {
      running.open -= 1
      this.#places.release()
      // This is not awaited, because a browser that no longer responds takes a long time to close.
      void this.#endIfUnused(running)
    }
  }

  #take(isPrivate: boolean): Running {
    const current = this.#running
    const isFresh = current && current.uses < (this.#options.recycle ?? DEFAULT_RECYCLE)
    const running = isFresh && current.isPrivate === isPrivate ? current : this.#start(isPrivate)
    running.uses += 1
    running.open += 1
    return running
  }

  #start(isPrivate: boolean): Running {
    if (this.#running) this.#retire(this.#running)
    const running: Running = { browser: this.#launch(isPrivate), isPrivate, uses: 0, open: 0, isRetired: false }
    this.#running = running
    running.browser.then(
      (browser) => browser.once('disconnected', () => this.#retire(running)),
      () => this.#retire(running),
    )
    return running
  }

  async #launch(isPrivate: boolean): Promise<Browser> {
    if (isPrivate) return startChromium(this.#options, undefined)
    this.#guard ??= GuardProxy.open(publicLookup())
    return startChromium(this.#options, (await this.#guard).url)
  }

  #retire(running: Running): void {
    if (this.#running === running) this.#running = undefined
    running.isRetired = true
    this.#retired.add(running)
    void this.#endIfUnused(running)
  }

  async #endIfUnused(running: Running): Promise<void> {
    if (!running.isRetired || running.open > 0) return
    await ended(running)
    this.#retired.delete(running)
  }

  /** Closes all browsers, including those with open pages. A page that is loaded later starts a new browser. */
  async close(): Promise<void> {
    const all = [...this.#retired, ...(this.#running ? [this.#running] : [])]
    const guarding = this.#guard
    this.#running = undefined
    this.#guard = undefined
    await Promise.all(all.map(ended))
    this.#retired.clear()
    const [guard] = await Promise.allSettled([guarding])
    if (guard.status === 'fulfilled') guard.value?.close()
  }
}

async function ended({ browser }: Running): Promise<void> {
  // Closing fails if the browser never started or has crashed. In both cases there is nothing to close.
  await browser.then((started) => started.close()).catch(() => {})
}
