import { describe, isWhole } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import { changing } from '../../engine/refused-changes.ts'
import { ENDED_STATES, type Run } from '../../run/run.ts'
import type { LaneFilter, LaneStatus, StoredItem } from '../../store/items/list-items.ts'
import type { ItemFilter } from '../../store/items/page-of-items.ts'
import type { Store } from '../../store/store.ts'
import { optionsOf } from '../call-options.ts'
import type { Reach } from '../reach.ts'
import { summedItems } from '../../item/item-counts.ts'
import type { ItemReplay, LanePause } from './item-options.ts'
import type { ItemsStatus } from './item-status.ts'

/** A page of items. For the next page, pass `next` as `after`; it is undefined on the last page. */
export interface ItemPage {
  readonly items: readonly StoredItem[]
  readonly next: number | undefined
}

/** `app.items`: the items of runs, and their lanes. */
export class Items {
  readonly #reach: () => Pick<Reach, 'store' | 'resources' | 'changed'>

  constructor(reach: () => Pick<Reach, 'store' | 'resources' | 'changed'>) {
    this.#reach = reach
  }

  /**
   * Returns the counts, the speed and the lanes of a run's items.
   *
   * @throws PikoError `RUN_UNKNOWN`, `ITEM_UNKNOWN` if it has no items
   */
  async status(runId: number): Promise<ItemsStatus> {
    const { store } = this.#reach()
    const run = await runOf(store, runId)
    const newest = await store.items.newestFence(runId)
    if (!newest)
      throw new PikoError('ITEM_UNKNOWN', `run ${runId} of job "${run.jobId}" has no items`, { details: { runId } })
    const [counts, running, lanes] = await Promise.all([
      store.items.counts(newest.fence),
      store.items.running(newest.fence),
      store.items.lanes({ runId, limit: 50 }),
    ])
    const { all, kinds, reasons } = summedItems(counts, running)
    const ended = all.done + all.dead + all.skipped + all.cancelled
    const began = run.startedAt ?? run.createdAt
    const until = run.finishedAt ?? new Date()
    const seconds = Math.max(0.001, (until.getTime() - began.getTime()) / 1_000)
    const left = all.queued + all.running
    const isOver = (ENDED_STATES as readonly string[]).includes(run.state)
    return {
      ...{ runId, jobId: run.jobId, state: run.state, isSeeded: newest.isSeeded },
      ...all,
      ...{ kinds, reasons, lanes, perSecond: ended / seconds },
      etaMs: ended === 0 || left === 0 || isOver ? undefined : Math.round((left / ended) * seconds * 1_000),
    }
  }

  /**
   * Lists items of a run by id, in pages. The ids of items that were added together are in no particular order.
   *
   * @throws PikoError `USAGE`
   */
  async list(runId: number, filter: ItemFilter = {}): Promise<ItemPage> {
    const { store } = this.#reach()
    const { limit = 100, ...rest } = optionsOf('items.list', filter)
    const items = await store.items.list(idOf(runId, 'run'), { ...rest, limit: limit + 1 })
    return { items: items.slice(0, limit), next: items.length > limit ? items[limit - 1]?.id : undefined }
  }

  /**
   * Returns one item with its data.
   *
   * @throws PikoError `ITEM_UNKNOWN`
   */
  async show(id: number): Promise<StoredItem & { readonly data: unknown }> {
    const { store } = this.#reach()
    const item = await store.items.show(idOf(id, 'item'))
    if (item) return item
    throw new PikoError('ITEM_UNKNOWN', `no item has the id ${id}; old ones are deleted with their runs`, {
      details: { id },
    })
  }

  /**
   * Returns dead (or skipped, or cancelled) items of a run to the queue, with their kept bytes. A failed run becomes running again, and its
   * window succeeds if its items do.
   *
   * @returns the number of items
   * @throws PikoError `RUN_UNKNOWN`, `CHANGE_REFUSED`; `USAGE` if the run has succeeded, if a later run has executed its
   * window, or if it was replayed and adds its items again
   */
  async replay(runId: number, filter: ItemReplay = {}): Promise<{ readonly items: number }> {
    const { store, resources, changed } = this.#reach()
    const options = optionsOf('items.replay', filter)
    await runOf(store, runId)
    const items = await changing(`items of run ${runId}`, 'piko_item', () =>
      store.items.replay(resources.nodeId(), { ...options, runId }),
    )
    if (items > 0) changed.runsQueued(1)
    return { items }
  }

  /** Lists lanes with the figures of their items, ordered by id. */
  async lanes(filter: LaneFilter = {}): Promise<LaneStatus[]> {
    return this.#reach().store.items.lanes(optionsOf('items.lanes', filter))
  }

  /**
   * Pauses a lane: none of its items begins on any node until the lane is resumed.
   *
   * @returns the number of lanes
   * @throws PikoError `ITEM_UNKNOWN` if no lane has this name, `USAGE`
   */
  async pause(lane: string, options: LanePause = {}): Promise<{ readonly lanes: number }> {
    return this.#pause(lane, optionsOf('items.pause', options), true)
  }

  /**
   * Resumes a paused lane.
   *
   * @returns the number of lanes
   * @throws PikoError `ITEM_UNKNOWN` if no lane has this name, `USAGE`
   */
  async resume(lane: string, options: LanePause = {}): Promise<{ readonly lanes: number }> {
    return this.#pause(lane, optionsOf('items.resume', options), false)
  }

  async #pause(name: string, { scope }: LanePause, isPaused: boolean): Promise<{ readonly lanes: number }> {
    const { store } = this.#reach()
    if (typeof name !== 'string')
      throw new PikoError('USAGE', `the lane is ${describe(name)}; expected its name, such as "api.acme.test"`)
    const lanes = await store.items.pauseLanes({ name, scope, isPaused })
    if (lanes > 0) return { lanes }
    throw new PikoError('ITEM_UNKNOWN', `no lane is named ${describe(name)}; piko items lanes lists them`, {
      details: { lane: name },
    })
  }
}

function idOf(id: unknown, of: string): number {
  if (isWhole(id) && id > 0) return id
  throw new PikoError('USAGE', `the id of the ${of} is ${describe(id)}; expected a whole number from 1`)
}

async function runOf({ runs }: Store, runId: number): Promise<Run> {
  const run = await runs.find(idOf(runId, 'run'))
  if (run) return run
  throw new PikoError('RUN_UNKNOWN', `no run has the id ${runId}; old runs are deleted`, { details: { runId } })
}
