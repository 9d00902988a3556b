import { systemClock } from '../../clock.ts'
import { describe, PikoError } from '../../errors.ts'
import type { AttemptItems } from '../../engine/attempt/live-attempt.ts'
import { Lock } from '../../engine/attempt/lock.ts'
import type { PipelineParts, RootParts } from '../../engine/attempt/run-pipeline.ts'
import type { AddItemOptions, ItemData } from '../../job/items/adding.ts'
import type { Cache, CacheDefinition } from '../../job/cached-value.ts'
import type { SharedDefinition, SharedText, SharedTopic } from '../../job/shared-value.ts'
import type { JobDefinition } from '../../job/spec.ts'
import { MAX_VALUE_BYTES, toJson } from '../../json/json.ts'
import { storable } from '../../json/storable.ts'

/** An item that a handler added. */
export interface AddedItem {
  readonly kind: string
  readonly data: unknown
  /** The options that were passed to `ctx.items.add` for this item. */
  readonly key?: string | number
  readonly lane?: string
  readonly priority?: number
  readonly due?: unknown
  readonly depth?: number
}

/** Creates locks that have one owner at a time in this process. */
export function memoryLocks(): PipelineParts['locks'] {
  const held = new Map<string, Lock>()
  let fence = 0
  const holder = {
    release: (lock: Lock): Promise<void> => {
      if (held.get(lock.name) === lock) held.delete(lock.name)
      return Promise.resolve()
    },
    abandon: () => () => Promise.resolve(),
    isHeld: (lock: Lock): boolean => held.get(lock.name) === lock,
  }
  return {
    acquire: (name) => {
      if (held.has(name)) {
        const why = `lock "${name}" is held by another call of this run, so it is never free`
        return Promise.reject(new PikoError('LOCK_BUSY', why, { details: { name } }))
      }
      const lock = new Lock(name, ++fence, holder)
      held.set(name, lock)
      return Promise.resolve(lock)
    },
  }
}

/** Creates shared values with these initial values, by topic. */
export function memoryShared(given: Readonly<Record<string, unknown>>): PipelineParts['shared'] {
  const opened = new Map<SharedDefinition<unknown, never>, SharedTopic<unknown, never>>()
  return {
    handle: <T, I>(definition: SharedDefinition<T, I>, signal?: AbortSignal) => {
      const known = opened.get(definition) as SharedTopic<T, I> | undefined
      const topic = known ?? openTopic(definition, given)
      opened.set(definition, topic)
      return topic.handle(signal)
    },
  }
}

function openTopic<T, I>(
  definition: SharedDefinition<T, I>,
  given: Readonly<Record<string, unknown>>,
): SharedTopic<T, I> {
  const versions: SharedText[] = []
  const records = (topic: string) =>
    versions.map(({ version, text }) => ({
      ...{ topic, version, value: JSON.parse(text) as unknown },
      ...{ reason: undefined, nodeId: undefined, createdAt: new Date() },
    }))
  const topic = definition.open({
    clock: systemClock,
    maxBytes: MAX_VALUE_BYTES,
    stopped: new AbortController().signal,
    refresh: () => Promise.resolve(),
    append: ({ version, text }) => {
      if (versions.some((one) => one.version >= version)) return Promise.resolve(false)
      versions.push({ version, text })
      topic.take({ version, text })
      return Promise.resolve(true)
    },
    history: (name, limit) => Promise.resolve(records(name).toReversed().slice(0, limit)),
    find: (_name, version) => Promise.resolve(versions.find((one) => one.version === version)?.text),
    changed: () => {},
    refused: () => {},
  })
  if (Object.hasOwn(given, definition.topic)) {
    const text = toJson(given[definition.topic], `shared.${definition.topic}`) ?? 'null'
    versions.push({ version: 2, text })
    topic.take({ version: 2, text })
    if (topic.refusal) throw topic.refusal.error
  }
  return topic
}

/** Creates caches that only this process uses. They are new for each run. */
export function memoryCaches(): PipelineParts['caches'] & { close(): Promise<void> } {
  const opened = new Map<CacheDefinition<unknown>, Cache<unknown>>()
  return {
    forRun: <V>(definition: CacheDefinition<V>) => {
      const cache = (opened.get(definition) as Cache<V> | undefined) ?? definition.open()
      opened.set(definition, cache)
      return cache
    },
    close: async () => {
      for (const cache of opened.values()) await cache.close()
    },
  }
}

/** Records the items that a handler adds. */
export function recordedItems(job: JobDefinition, added: AddedItem[]): RootParts {
  const known = new Set<string>()
  const add = async (
    kind: string,
    values: Iterable<unknown> | AsyncIterable<unknown>,
    options: AddItemOptions<unknown> = {},
  ) => {
    if (!job.policy.items?.kinds.has(kind)) {
      const kinds = [...(job.policy.items?.kinds.keys() ?? [])].map((one) => describe(one)).join(', ')
      throw new PikoError('USAGE', `ctx.items.add: job "${job.id}" has no kind ${describe(kind)}; expected ${kinds}`)
    }
    let index = 0
    const counts = { added: 0, duplicates: 0 }
    for await (const value of values) {
      const data = storable(value, {
        jobId: job.id,
        what: `data of item ${index}`,
        maxBytes: MAX_VALUE_BYTES,
        code: 'ITEM_INVALID',
      })
      const item = { kind, data, ...optionsOf(options, data, index) }
      const key = item.key ?? (typeof data === 'string' || typeof data === 'number' ? data : undefined)
      const name = key === undefined ? undefined : `${kind} ${key}`
      index += 1
      if (name !== undefined && known.has(name)) {
        counts.duplicates += 1
        continue
      }
      if (name !== undefined) known.add(name)
      added.push(item)
      counts.added += 1
    }
    return counts
  }
  const items: AttemptItems = {
    fence: 1,
    get hasItems() {
      return added.length > 0
    },
    seeded: undefined,
    end: () => Promise.resolve(),
    add: add as AttemptItems['add'],
  }
  return {
    open: () => Promise.resolve(items),
    wait: () => () => {},
    outcome: (_attempt, _items, success) => Promise.resolve(success),
  }
}

const OPTIONS = ['key', 'lane', 'priority', 'due', 'depth'] as const

function optionsOf(
  options: AddItemOptions<ItemData[string]>,
  data: unknown,
  index: number,
): Partial<Pick<AddedItem, (typeof OPTIONS)[number]>> {
  return Object.fromEntries(
    OPTIONS.flatMap((name) => {
      const given: unknown = options[name]
      const value: unknown =
        typeof given === 'function' ? (given as (data: unknown, index: number) => unknown)(data, index) : given
      return value === undefined ? [] : [[name, value]]
    }),
  )
}
