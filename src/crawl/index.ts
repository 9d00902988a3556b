export { browser } from './browser/browser.ts'
export type { BrowserOptions, ResourceKind } from './browser/browser-options.ts'
export type { BrowserLocator, BrowserPage } from './browser/browser-page.ts'
export { CrawlError, type CrawlErrorParts, FAILURE_CLASSES, type FailureClass } from './crawl-error.ts'
export type { CrawlContext, CrawlItem, DeadPage, DeadPageContext } from './define/crawl-context.ts'
export type {
  CrawlClassSpec,
  CrawlLimits,
  CrawlMiddleware,
  CrawlOptions,
  CrawlSpec,
  CrawlStep,
  DedupSpec,
  ParsePage,
  RequestDefaults,
  RowMiddleware,
  RowTarget,
  Seed,
  Seeds,
  StepSpec,
} from './define/crawl-spec.ts'
export {
  crawl,
  type CrawlContextOf,
  type CrawlDecorator,
  crawlSpec,
  type SeedContextOf,
  step,
  type StepDecorator,
} from './define/decorators.ts'
export { defineCrawl } from './define/define-crawl.ts'
export type {
  Answer,
  Downloader,
  DownloadLimits,
  DownloadProxy,
  DownloadScope,
  DownloadSession,
  HttpHeaders,
  StreamDownloader,
  StreamMessage,
} from './downloader.ts'
export type { FetchSpec } from './fetch/fetch-spec.ts'
export { http, type HttpDownloaderOptions } from './fetch/http-downloader.ts'
export type { FollowSpec } from './link/link-filter.ts'
export type { UrlPattern } from './link/url-glob.ts'
export type { HtmlDocument, HtmlElement, HtmlNode, HtmlNodes, HtmlValues } from './html.ts'
export type { Page, PageMessage } from './page.ts'
export type { ProxyPool, ProxySource } from './proxies/proxy-spec.ts'
export { TRACKING_PARAMETERS } from './request/canonical-url.ts'
export type { CrawlBody, CrawlMethod, CrawlRequest, ReadyBody, ReadyRequest, RequestCache } from './request/request.ts'
export type { BlockedRetrySpec, CrawlRetry } from './run/failure-policy.ts'
export { sandbox, type SandboxOptions } from './sandbox/sandbox.ts'
export type { LoginHttp, LoginRequest, NewSession, SessionSpec } from './sessions/session-spec.ts'
export { sitemap, type SitemapOptions, type SitemapPage } from './sitemap/sitemap.ts'
export { socket, type SocketOptions, type SocketUntil } from './socket/socket.ts'
