import type { ItemContext } from '../../job/items/item-context.ts'
import type { ItemData } from '../../job/items/adding.ts'
import type { ResourceMap } from '../../resource/resource.ts'
import type { SinkMap } from '../../sink/sink.ts'
import type { CrawlContext, CrawlItem } from '../define/crawl-context.ts'
import type { ItemPayload } from './item-payload.ts'

/** The context of a crawl's item, with its type parameters erased. */
export type CrawlItemContext = ItemContext<ResourceMap, unknown, SinkMap, never, undefined, ItemData>
type Context = CrawlContext<ResourceMap, unknown, SinkMap, never>

/** The functions of a step's context that end the page or add requests. */
export interface PageActions {
  readonly follow: Context['follow']
  readonly skip: Context['skip']
  readonly retryLater: Context['retryLater']
  readonly commit: Context['commit']
}

/** The context of a step. Its type parameters are erased here; the step sees the types of the spec. */
export class PageContext implements Context {
  readonly runId: number
  readonly jobId: string
  readonly attempt: number
  readonly fence: number
  readonly scheduledTime: Date
  readonly window: never
  readonly config: unknown
  readonly input = undefined
  readonly resources: Context['resources']
  readonly item: CrawlItem
  readonly data: unknown
  readonly follow: Context['follow']
  readonly skip: Context['skip']
  readonly retryLater: Context['retryLater']
  readonly commit: Context['commit']
  readonly #ctx: CrawlItemContext
  #sinks: Context['sinks']

  constructor(ctx: CrawlItemContext, payload: ItemPayload, actions: PageActions) {
    const { item } = ctx
    this.runId = ctx.runId
    this.jobId = ctx.jobId
    this.attempt = ctx.attempt
    this.fence = ctx.fence
    this.scheduledTime = ctx.scheduledTime
    this.window = ctx.window
    this.config = ctx.config
    this.resources = ctx.resources
    this.#sinks = ctx.sinks
    this.#ctx = ctx
    this.item = {
      id: item.id,
      step: item.kind,
      url: payload.request.url,
      attempt: item.attempt,
      tries: item.tries,
      depth: item.depth,
      priority: item.priority,
      parent: item.parent,
    }
    this.data = payload.data
    this.follow = actions.follow
    this.skip = actions.skip
    this.retryLater = actions.retryLater
    this.commit = actions.commit
  }

  get sinks(): Context['sinks'] {
    return this.#sinks
  }

  /** Replaces the writers of the sinks, for example by ones with middleware. */
  replaceSinks(sinks: Context['sinks']): void {
    this.#sinks = sinks
  }

  get signal(): AbortSignal {
    return this.#ctx.signal
  }

  get log(): Context['log'] {
    return this.#ctx.log
  }

  get lock(): Context['lock'] {
    return this.#ctx.lock
  }

  get limit(): Context['limit'] {
    return this.#ctx.limit
  }

  get progress(): Context['progress'] {
    return this.#ctx.progress
  }

  get map(): Context['map'] {
    return this.#ctx.map
  }

  get cache(): Context['cache'] {
    return this.#ctx.cache
  }

  get shared(): Context['shared'] {
    return this.#ctx.shared
  }

  get async(): Context['async'] {
    return this.#ctx.async
  }
}
