import type { DownloadLimits } from '../downloader.ts'

/** The `user-agent` of a crawl whose spec sets none. */
export const DEFAULT_USER_AGENT = 'piko'

export const DEFAULT_LIMITS: DownloadLimits = {
  bytes: 10_000_000,
  headerBytes: 64 * 1_024,
  private: false,
  idleMs: 10_000,
}
