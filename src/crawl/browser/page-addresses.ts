import type { Route } from 'playwright-core'
import { safely } from '../../errors-read.ts'
import type { DownloadScope } from '../downloader.ts'
import { refusePrivate } from '../fetch/http-hop.ts'

/**
 * Refuses requests of a page to URLs with private addresses. The guard proxy also checks the browser's connections. If the crawl uses a
 * proxy, that proxy opens the connections, so only the URLs can be checked.
 */
export class PageAddresses {
  readonly #scope: Pick<DownloadScope, 'limits' | 'proxy'>
  #refused: Error | undefined

  constructor(scope: Pick<DownloadScope, 'limits' | 'proxy'>) {
    this.#scope = scope
  }

  /**
   * Whether a URL may be requested.
   *
   * @param isPage whether the response would replace the page itself
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

  /** Fails if the page itself was refused. Otherwise, the browser's own error page would be read as the result. @throws AddressRefused */
  throwIfRefused(): void {
    if (this.#refused) throw this.#refused
  }
}

/** Whether the response to a request would replace the page itself. */
export function isOfPage(route: Route): boolean {
  const asked = route.request()
  // `frame` throws for the request of a service worker, which has no frame.
  return asked.isNavigationRequest() && safely(() => asked.frame().parentFrame() === null, true)
}
