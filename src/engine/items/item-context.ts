import { describe } from '../../errors.ts'
import { PikoError } from '../../errors.ts'
import type { Item } from '../../item/item.ts'
import { fromJson } from '../../json/json.ts'
import type { ItemAdder, ItemData } from '../../job/items/adding.ts'
import type { ItemContext } from '../../job/items/item-context.ts'
import type { ResourceMap } from '../../resource/resource.ts'
import type { SinkMap } from '../../sink/sink.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import { cappedDurationMs, MAX_STORED_MS } from '../../time/duration.ts'
import type { RunContext } from '../attempt/run-context.ts'
import { type ItemAttempt, ItemLeave } from './item-attempt.ts'

type Context = ItemContext<ResourceMap, unknown, SinkMap>

/** The calls of an item's context that need the store. */
export interface ItemActions {
  checkpoint(
    attempt: ItemAttempt,
    position: string,
    fn: ((trx: SqlExecutor) => Promise<unknown>) | undefined,
  ): Promise<void>
  lane(attempt: ItemAttempt): Context['lane']
  state(attempt: ItemAttempt, pool: string, options: unknown): ReturnType<Context['state']>
  score(attempt: ItemAttempt, group: string, name: string, outcome: unknown): void
  scores(attempt: ItemAttempt, group: string): ReturnType<Context['scores']>
}

const MAX_POSITION = 2_000
const MAX_REASON = 255
/** The maximum number of bytes that an item may keep for its next attempt. */
const MAX_KEPT_BYTES = 256_000_000

export function itemOf(attempt: ItemAttempt): Item {
  const { item, tries } = attempt
  return {
    id: item.id,
    kind: item.kind,
    key: item.key,
    data: fromJson(item.data),
    attempt: attempt.claim.attempt,
    tries,
    lane: item.lane.name,
    depth: item.depth,
    priority: item.priority,
    parent: item.parentId,
    position: item.position,
    kept: attempt.keptBefore,
  }
}

/** Creates the context of an item's function from the context of its run. */
export function itemContext(base: RunContext, attempt: ItemAttempt, item: Item, actions: ItemActions): Context {
  return new OfItem(base, attempt, item, actions)
}

/**
 * All calls work without `this`, because functions destructure their context. Each is created only when it is read, because most functions
 * use only a few.
 */
class OfItem implements Context {
  readonly runId: number
  readonly jobId: string
  readonly fence: number
  readonly attempt: number
  readonly scheduledTime: Date
  readonly window: Context['window']
  readonly config: unknown
  readonly input: unknown
  readonly resources: Context['resources']
  readonly sinks: Context['sinks']
  readonly item: Item
  readonly #base: RunContext
  readonly #attempt: ItemAttempt
  readonly #actions: ItemActions

  constructor(base: RunContext, attempt: ItemAttempt, item: Item, actions: ItemActions) {
    this.runId = base.runId
    this.jobId = base.jobId
    this.fence = base.fence
    this.attempt = base.attempt
    this.scheduledTime = base.scheduledTime
    this.window = base.window
    this.config = base.config
    this.input = base.input
    this.resources = base.resources
    this.sinks = base.sinks
    this.item = item
    this.#base = base
    this.#attempt = attempt
    this.#actions = actions
  }

  get items(): ItemAdder<ItemData> {
    return {
      add: async (kind, values, options) => ({
        added: await this.#attempt.add(kind, values, options),
        duplicates: 0,
      }),
    }
  }

  get signal(): AbortSignal {
    return this.#base.signal
  }

  get log(): Context['log'] {
    return this.#base.log
  }

  get limit(): Context['limit'] {
    return this.#base.limit
  }

  get async(): Context['async'] {
    return this.#base.async
  }

  get elapsedMs(): number {
    return this.#attempt.elapsedMs
  }

  get lane(): Context['lane'] {
    return this.#actions.lane(this.#attempt)
  }

  get shared(): Context['shared'] {
    return this.#base.shared
  }

  get cache(): Context['cache'] {
    return this.#base.cache
  }

  get lock(): Context['lock'] {
    return this.#base.lock
  }

  get map(): Context['map'] {
    return this.#base.map
  }

  get commit(): Context['commit'] {
    return this.#base.commit
  }

  get progress(): Context['progress'] {
    return () => {}
  }

  get skip(): Context['skip'] {
    return (reason) => {
      throw new ItemLeave({ skip: String(reason).slice(0, MAX_REASON) })
    }
  }

  get retryLater(): Context['retryLater'] {
    return (when) => {
      throw new ItemLeave({ laterMs: laterMs(when) })
    }
  }

  get checkpoint(): Context['checkpoint'] {
    return (position, fn) => {
      this.#attempt.assertOpen('checkpoint')
      if (typeof position !== 'string' || position.length > MAX_POSITION || !position.isWellFormed()) {
        throw usage(
          `checkpoint got the position ${describe(position)}; expected a string of at most ${MAX_POSITION} characters without lone surrogates`,
        )
      }
      return this.#actions.checkpoint(this.#attempt, position, fn)
    }
  }

  get keep(): Context['keep'] {
    return (bytes) => {
      const checked = (given: unknown): Uint8Array => {
        if (given instanceof Uint8Array && given.byteLength <= MAX_KEPT_BYTES) return given
        throw usage(`keep got ${describe(given)}; expected a Uint8Array of at most ${MAX_KEPT_BYTES} bytes`)
      }
      if (bytes === undefined) this.#attempt.kept = null
      else this.#attempt.kept = typeof bytes === 'function' ? () => checked(bytes()) : checked(bytes)
    }
  }

  get countBytes(): Context['countBytes'] {
    return (bytes) => {
      if (!Number.isFinite(bytes) || bytes <= 0) return
      this.#attempt.bytes = Math.min(Number.MAX_SAFE_INTEGER, this.#attempt.bytes + bytes)
    }
  }

  get state(): Context['state'] {
    return ((pool: string, options: unknown) => this.#actions.state(this.#attempt, pool, options)) as Context['state']
  }

  get score(): Context['score'] {
    return (group, name, outcome) => this.#actions.score(this.#attempt, group, name, outcome)
  }

  get scores(): Context['scores'] {
    return (group) => this.#actions.scores(this.#attempt, group)
  }
}

function laterMs(when: unknown): number {
  if (when instanceof Date && !Number.isNaN(when.getTime()))
    return Math.min(MAX_STORED_MS, Math.max(0, when.getTime() - new Date().getTime()))
  if (typeof when === 'string') return cappedDurationMs(when, 'retryLater', MAX_STORED_MS)
  throw usage(`retryLater got ${describe(when)}; expected a Date, or a time from now such as '10s'`)
}

function usage(problem: string): PikoError {
  return new PikoError('USAGE', `ctx.${problem}`)
}
