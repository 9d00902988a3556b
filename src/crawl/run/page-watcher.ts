import type { Answer } from '../downloader.ts'
import type { LinkRefusal } from '../link/link-filter.ts'
import type { NewItem } from '../request/ready-request.ts'

/** Learns what a page does while it is tried. */
export interface PageWatcher {
  answered(answer: Answer): void
  /** @param refusal why the crawl's `follow` leaves it out */
  followed(item: NewItem, refusal: LinkRefusal | undefined): void
  tooLong(request: unknown): void
  /** Whether a stream has sent enough messages. */
  hasEnough(messages: number): boolean
}
