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

/** Those calls of an item's context that need the store. */
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
    ...{ id: item.id, kind: item.kind, key: item.key, data: fromJson(item.data) },
    ...{ attempt: attempt.claim.attempt, tries, lane: item.lane.name, depth: item.depth, priority: item.priority },
    ...{ parent: item.parentId, position: item.position, kept: attempt.keptBefore },
  }
}

/**
 * The context of an item's function, made from the context of its run. No method uses `this`, because functions destructure the context.
 */
export function itemContext(base: RunContext, attempt: ItemAttempt, item: Item, actions: ItemActions): Context {
  const { runId, jobId, fence, scheduledTime, window, config, input, resources, sinks } = base
  const items: ItemAdder<ItemData> = {
    add: async (kind, values, options) => ({ added: await attempt.add(kind, values, options), duplicates: 0 }),
  }
  return {
    ...{ runId, jobId, fence, scheduledTime, window, config, input, resources, sinks },
    ...{ attempt: base.attempt, item, items },
    get signal() {
      return base.signal
    },
    get log() {
      return base.log
    },
    get limit() {
      return base.limit
    },
    get async() {
      return base.async
    },
    get elapsedMs() {
      return attempt.elapsedMs
    },
    get lane() {
      return actions.lane(attempt)
    },
    shared: (definition) => base.shared(definition),
    cache: (definition) => base.cache(definition),
    lock: (name, options) => base.lock(name, options),
    map: (values, fn, options) => base.map(values, fn, options),
    progress: () => {},
    skip: (reason) => {
      throw new ItemLeave({ skip: String(reason).slice(0, MAX_REASON) })
    },
    retryLater: (when) => {
      throw new ItemLeave({ laterMs: laterMs(when) })
    },
    commit: (fn) => base.commit(fn),
    checkpoint: (position, fn) => {
      attempt.assertOpen('checkpoint')
      if (typeof position !== 'string' || position.length > MAX_POSITION || !position.isWellFormed()) {
        throw usage(
          `checkpoint got the position ${describe(position)}; expected a text of at most ${MAX_POSITION} characters`,
        )
      }
      return actions.checkpoint(attempt, position, fn)
    },
    keep: (bytes) => {
      if (bytes !== undefined && (!(bytes instanceof Uint8Array) || bytes.byteLength > MAX_KEPT_BYTES)) {
        throw usage(`keep got ${describe(bytes)}; expected a Uint8Array of at most ${MAX_KEPT_BYTES} bytes`)
      }
      attempt.kept = bytes ?? null
    },
    countBytes: (bytes) => {
      if (Number.isFinite(bytes) && bytes > 0) attempt.bytes += bytes
    },
    state: ((pool: string, options: unknown) => actions.state(attempt, pool, options)) as Context['state'],
    score: (group, name, outcome) => actions.score(attempt, group, name, outcome),
    scores: (group) => actions.scores(attempt, group),
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
