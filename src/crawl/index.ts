export { browser } from './browser/browser.ts'
export type { BrowserOptions, ResourceKind } from './browser/browser-options.ts'
export { CrawlError, type CrawlErrorParts, FAILURE_CLASSES, type FailureClass } from './crawl-error.ts'
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
export type { Page, PageMessage } from './page.ts'
export type { ProxyPool } from './proxies/proxy-spec.ts'
export type { CrawlBody, CrawlMethod, CrawlRequest, ReadyBody, ReadyRequest, RequestCache } from './request/request.ts'
export { sandbox, type SandboxOptions } from './sandbox/sandbox.ts'
export type { LoginHttp, LoginRequest, NewSession, SessionSpec } from './sessions/session-spec.ts'
export { sitemap, type SitemapOptions, type SitemapPage } from './sitemap/sitemap.ts'
export { socket, type SocketOptions, type SocketUntil } from './socket/socket.ts'
