import { describe, isError, isObject, propertyOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import { MAX_LANE } from '../../item/lane.ts'
import { toJson } from '../../json/json.ts'
import { storable } from '../../json/storable.ts'
import type { AddItemOptions } from '../../job/items/adding.ts'
import { type Dedup, type ItemPolicy, type KindPolicy, limitsOf } from '../../job/items/item-policy.ts'
import { isText, readDedup } from '../../job/items/read-items.ts'
import { isPriority } from '../../job/spec.ts'
import { type OptionChecks, readOptions } from '../../options.ts'
import { cappedDurationMs, MAX_STORED_MS } from '../../time/duration.ts'
import { LAST_INSTANT_MS } from '../../time/instant.ts'
import { laneKey, type LaneRef } from '../../store/items/lane-rows.ts'
import { isKey } from '../../store/values/exact-key.ts'
import { type NewItem, printOf } from '../../store/items/new-item.ts'

/** The maximum length of an item's key in characters. */
const MAX_KEY = 2_048
/** The maximum size of an item's data as JSON, in bytes. */
const MAX_DATA_BYTES = 1_000_000
const MAX_DEPTH = 32_767

const SOURCES = [Symbol.iterator, Symbol.asyncIterator]
const whatever = () => undefined
const CHECKS: OptionChecks<AddItemOptions<unknown>> = {
  key: whatever,
  lane: whatever,
  priority: whatever,
  due: whatever,
  depth: whatever,
  dedup: whatever,
}

/** An item to add. Its lane has no id yet. */
export interface PendingItem extends Omit<NewItem, 'laneId'> {
  readonly lane: LaneRef
}

/** The run or item that adds items. */
export interface Adder {
  readonly jobId: string
  readonly policy: ItemPolicy
  /** The generation of the items: the fence of the claim that added the first of them. */
  readonly fence: number
  readonly parentId: number | undefined
  /** The depth of the items that the run or item adds. */
  readonly depth: number
  readonly now: () => number
  /**
   * Creates a key for an item that has none. Each attempt of a handler creates the same keys, so it does not add items again that an
   * earlier attempt has stored. An item continues after its last checkpoint, so each of its attempts creates new keys.
   */
  readonly unique: () => string
}

/** Reads the arguments of `ctx.items.add`. */
export class ItemReader {
  readonly #adder: Adder
  readonly #kind: KindPolicy
  readonly #options: AddItemOptions<unknown>
  /** How many items a limit has left out, by reason. */
  readonly left = new Map<string, number>()

  /** @throws PikoError `USAGE` */
  constructor(adder: Adder, kind: string, values: unknown, options: unknown) {
    this.#adder = adder
    this.#kind = kindOf(adder, kind)
    const read = readOptions<AddItemOptions<unknown>>(options ?? {}, CHECKS, '{ key: (data) => data.id }')
    const isSource = isObject(values) && SOURCES.some((how) => typeof propertyOf(values, how) === 'function')
    const problems = isSource
      ? read.problems
      : [`values is ${describe(values)}; expected a list, an iterable or an async generator`, ...read.problems]
    if (problems.length > 0)
      throw new PikoError('USAGE', `items.add("${kind}"): ${problems.join('; ')}`, { details: { problems } })
    this.#options = read.options
  }

  get kind(): string {
    return this.#kind.name
  }

  /**
   * Reads one item. Returns undefined if a limit leaves it out.
   *
   * @throws PikoError `ITEM_INVALID`
   */
  item(given: unknown, index: number): PendingItem | undefined {
    const { jobId, policy, fence, parentId } = this.#adder
    const { name: kind, laneScope } = this.#kind
    const data = this.#dataOf(given, index)
    const depth = this.#depth(data, index)
    if (policy.maxDepth !== undefined && depth > policy.maxDepth) {
      this.left.set('depth', (this.left.get('depth') ?? 0) + 1)
      return undefined
    }
    const dedup = this.#dedup(data, index)
    const key = this.#key(data, index, dedup === 'none')
    const lane = this.#lane(data, index)
    const isUnique = dedup !== 'none' && key !== undefined
    const { rate, parallel } = limitsOf(this.#kind, lane)
    return {
      fence,
      jobId,
      kind,
      depth,
      parentId,
      lane: { scope: laneScope, name: lane, rate, parallel },
      priority: this.#priority(data, index),
      dueAt: this.#due(data, index),
      scope: isUnique ? scopeOf(dedup, fence, this.#adder.now()) : fence,
      print: printOf(kind, isUnique ? key : `\0${this.#adder.unique()}`),
      key: key ?? '',
      data: toJson(data, 'data'),
      maxItems: policy.maxItems,
    }
  }

  #dataOf(given: unknown, index: number): unknown {
    try {
      return storable(given, { jobId: this.#adder.jobId, what: 'data', maxBytes: MAX_DATA_BYTES })
    } catch (error) {
      throw this.#wrong(index, `its ${isError(error) ? error.message.replace(/^the /, '') : 'data is unusable'}`, error)
    }
  }

  #key(data: unknown, index: number, isOptional: boolean): string | undefined {
    const given = this.#option('key', data, index)
    const isPlain = typeof data === 'string' || typeof data === 'number'
    const key = given === undefined && isPlain ? data : given
    if (key === undefined) return undefined
    const text = typeof key === 'number' ? String(key) : key
    if (isText(text, MAX_KEY)) return text
    if (isOptional && text === '') return undefined
    throw this.#wrong(
      index,
      `its key is ${describe(key)}; expected a string of 1 to ${MAX_KEY} characters without lone surrogates, or a number`,
    )
  }

  #lane(data: unknown, index: number): string {
    const given = this.#option('lane', data, index)
    const lane: unknown =
      given ??
      (this.#kind.kind.lane ? this.#called(index, 'lane', () => this.#kind.kind.lane?.(data)) : this.#kind.name)
    if (isKey(lane, MAX_LANE)) return lane
    throw this.#wrong(
      index,
      `its lane is ${describe(lane)}; expected a string of 1 to ${MAX_LANE} characters without lone surrogates`,
    )
  }

  #priority(data: unknown, index: number): number {
    const priority = this.#option('priority', data, index) ?? this.#kind.priority
    if (isPriority(priority)) return priority
    throw this.#wrong(index, `its priority is ${describe(priority)}; expected a whole number from -32768 to 32767`)
  }

  #depth(data: unknown, index: number): number {
    const depth = this.#option('depth', data, index) ?? this.#adder.depth
    if (typeof depth === 'number' && Number.isInteger(depth) && depth >= 0 && depth <= MAX_DEPTH) return depth
    throw this.#wrong(index, `its depth is ${describe(depth)}; expected a whole number from 0 to ${MAX_DEPTH}`)
  }

  #dedup(data: unknown, index: number): Dedup {
    const given = this.#option('dedup', data, index)
    const dedup = given === undefined ? this.#kind.dedup : readDedup(given)
    if (dedup !== undefined) return dedup
    throw this.#wrong(index, `its dedup is ${describe(given)}; expected 'run', 'job', false or { within: '7d' }`)
  }

  #due(data: unknown, index: number): Date | undefined {
    const due = this.#option('due', data, index)
    if (due === undefined) return undefined
    const ms = due instanceof Date ? due.getTime() : this.#adder.now() + this.#span(due, index)
    if (Number.isNaN(ms)) throw this.#wrong(index, 'its due is an invalid Date')
    return ms <= this.#adder.now() ? undefined : new Date(Math.min(ms, LAST_INSTANT_MS))
  }

  #span(due: unknown, index: number): number {
    if (typeof due === 'string') {
      return this.#called(index, 'due', () => cappedDurationMs(due, 'due', MAX_STORED_MS)) as number
    }
    throw this.#wrong(index, `its due is ${describe(due)}; expected a Date, or a time from now such as '10s'`)
  }

  /** Returns the value of an option for this item. */
  #option(name: keyof AddItemOptions<unknown>, data: unknown, index: number): unknown {
    const given: unknown = this.#options[name]
    return typeof given === 'function'
      ? this.#called(index, name, () => (given as (data: unknown, index: number) => unknown)(data, index))
      : given
  }

  #called(index: number, name: string, call: () => unknown): unknown {
    try {
      return call()
    } catch (error) {
      throw this.#wrong(index, `its ${name} can't be read: ${isError(error) ? error.message : describe(error)}`, error)
    }
  }

  #wrong(index: number, problem: string, cause?: unknown): PikoError {
    const { jobId } = this.#adder
    return new PikoError('ITEM_INVALID', `item ${index} of kind "${this.#kind.name}" of job "${jobId}": ${problem}`, {
      ...(cause !== undefined && { cause }),
      details: { jobId, kind: this.#kind.name, index },
    })
  }
}

/** Adds to each item the id of its lane. */
export async function withLanes(
  pending: readonly PendingItem[],
  idsOf: (lanes: readonly LaneRef[]) => Promise<ReadonlyMap<string, number>>,
): Promise<NewItem[]> {
  if (pending.length === 0) return []
  const ids = await idsOf(pending.map(({ lane }) => lane))
  return pending.map(({ lane, ...item }) => {
    const laneId = ids.get(laneKey(lane.scope, lane.name))
    // Without its lane, no claim would ever find the item.
    if (laneId === undefined) throw new Error(`the store has no lane ${describe(lane.name)} of ${describe(lane.scope)}`)
    return { ...item, laneId }
  })
}

function kindOf({ jobId, policy }: Adder, kind: unknown): KindPolicy {
  const known = typeof kind === 'string' ? policy.kinds.get(kind) : undefined
  if (known) return known
  const kinds = [...policy.kinds.keys()].join(', ')
  throw new PikoError('USAGE', `items.add got the kind ${describe(kind)}; the kinds of job "${jobId}" are ${kinds}`, {
    details: { jobId, kind: describe(kind) },
  })
}

/** Returns the scope in which a key is unique: its generation, its job, or a period of its job. */
function scopeOf(dedup: Exclude<Dedup, 'none'>, fence: number, now: number): number {
  if (dedup === 'run') return fence
  return dedup === 'job' ? 0 : -1 - Math.floor(now / dedup.withinMs)
}
