import type { Route } from 'playwright-core'
import { safely } from '../../errors-read.ts'
import type { DownloadScope } from '../downloader.ts'
import { refusePrivate } from '../fetch/http-hop.ts'

/**
 * Refuses the private addresses that a page asks for. Without a proxy, the connections of the browser are checked as well; a proxy opens
 * them itself, so there only URLs can be checked.
 */
export class PageAddresses {
  readonly #scope: Pick<DownloadScope, 'limits' | 'proxy'>
  #refused: Error | undefined

  constructor(scope: Pick<DownloadScope, 'limits' | 'proxy'>) {
    this.#scope = scope
  }

  /**
   * Whether a URL may be asked.
   *
   * @param isPage whether it would take the place of the page itself
   */
  isAllowed(text: string, isPage: boolean): boolean {
    const url = safely(() => new URL(text), undefined)
    if (!url) return true
    try {
      refusePrivate({ url }, this.#scope)
      return true
    } catch (refused) {
      if (isPage) this.#refused ??= refused as Error
      return false
    }
  }

  /** @throws AddressRefused if the page itself was refused: what the browser shows instead is no answer */
  throwIfRefused(): void {
    if (this.#refused) throw this.#refused
  }
}

/** Whether a request would take the place of the page itself. */
export function isOfPage(route: Route): boolean {
  const asked = route.request()
  // The request of a service worker has no frame.
  return asked.isNavigationRequest() && safely(() => asked.frame().parentFrame() === null, true)
}
