import type { Downloader } from '../downloader.ts'
import type { CrawlRequest } from './request.ts'

/** What a step has for each of its requests. */
export interface RequestDefaults extends Omit<
  CrawlRequest,
  'url' | 'step' | 'data' | 'due' | 'dedup' | 'downloader' | 'priority' | 'timeout'
> {
  readonly downloader?: string | Downloader
}
