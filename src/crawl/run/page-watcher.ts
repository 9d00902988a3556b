import type { Answer } from '../downloader.ts'
import type { LinkRefusal } from '../link/link-filter.ts'
import type { NewItem } from '../request/ready-request.ts'

/** Receives reports about a page during a trial. */
export interface PageWatcher {
  /** Called when the response to the page's request has arrived. */
  answered(answer: Answer): void
  /**
   * Called when the step has passed a request to `ctx.follow`.
   *
   * @param refusal why the `follow` option leaves the request out; undefined if it does not
   */
  followed(item: NewItem, refusal: LinkRefusal | undefined): void
  /** Called when a request that the step has passed to `ctx.follow` has a URL that is too long. */
  tooLong(request: unknown): void
  /** Returns whether the trial of a stream may end after this number of messages. */
  hasEnough(messages: number): boolean
}
