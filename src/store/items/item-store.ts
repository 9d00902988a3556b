import type { SqlExecutor } from '../../sql/sql.ts'
import type { Database } from '../connection/database.ts'
import { withExecutor } from '../statements/sql-executor.ts'
import { type ClaimedItems, claimItems, type ItemClaimRequest } from './claim-items.ts'
import { type Checkpoint, checkpointIn } from './checkpoint-item.ts'
import { type EndedItem, endIn, endItems, type ItemsEnded } from './end-items.ts'
import {
  addSeeds,
  endSeeds,
  idleItems,
  itemCounts,
  runningItems,
  type ItemRunInfo,
  itemRunInfos,
  type OpenItems,
  openItemsOf,
  type Seeds,
} from './item-runs.ts'
import { forgetItems, forgetLanes, forgetNotes, unnamedKept } from './forget-items.ts'
import { addScores, itemScores, type ScoreChange, type StoredScore } from './item-scores.ts'
import { forgetSpeeds, type LaneSpeed, openLanes, slowLanes, storeSpeeds } from './lane-speeds.ts'
import { laneNote, saveLaneNote, type StoredNote } from './lane-notes.ts'
import { createdState, leaseState, type StateRequest } from './leased-states.ts'
import { storedBytes } from './kept-bytes.ts'
import { type LanePlaceAnswer, type LanePlaceRequest, takeLanePlaces } from './places/lane-places.ts'
import { ensureLanes, type EnsureLanes, type LaneRef, wakeLanes } from './lane-rows.ts'
import {
  type LaneFilter,
  type LaneStatus,
  listItems,
  listLanes,
  newestFence,
  pauseLanes,
  showItem,
  type StoredItem,
} from './list-items.ts'
import type { ItemFilter } from './page-of-items.ts'
import { type ItemReplayFilter, replayItems } from './replay-items.ts'
import { sweepItems, type Swept, type SweepRequest } from './sweep-items.ts'

/** Stores items and their lanes, states, notes and scores. */
export class ItemStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  claim(request: ItemClaimRequest): Promise<ClaimedItems> {
    return claimItems(this.#database, request)
  }

  /**
   * Takes places for items that have missed theirs, or that send another request.
   *
   * @returns the answers in the order of the requests
   */
  takePlaces(
    requests: readonly LanePlaceRequest[],
    clock: Parameters<typeof takeLanePlaces>[2],
  ): Promise<LanePlaceAnswer[]> {
    return takeLanePlaces(this.#database, requests, clock)
  }

  end(nodeId: string, ends: readonly EndedItem[]): Promise<ItemsEnded> {
    return endItems(this.#database, nodeId, ends)
  }

  /**
   * Ends an item in a transaction with a user's writes.
   *
   * @param fn writes, and returns how the item ends. Its argument `ensure` reads and creates lanes in the transaction
   * @throws ItemLost if this node no longer holds the item; then nothing was written
   */
  async commit(
    nodeId: string,
    fn: (trx: SqlExecutor, ensure: EnsureLanes) => Promise<EndedItem>,
    giveUp: AbortSignal,
  ): Promise<ItemsEnded> {
    const { dialect, transactionMs } = this.#database
    return this.#database.transaction((trx) =>
      this.#database.enter(async () => {
        const ended = await withExecutor(trx, dialect, { ms: transactionMs, giveUp }, (executor) =>
          fn(executor, (lanes) => ensureLanes(trx, dialect, lanes)),
        )
        const result = await endIn(trx, dialect, nodeId, [ended], true)
        if (result.lost.size > 0) throw new ItemLost()
        return result
      }),
    )
  }

  /** Stores a checkpoint with the writes of `fn`. @throws ItemLost if this node no longer holds the item; then nothing was written */
  async checkpoint(
    nodeId: string,
    checkpoint: Checkpoint,
    fn: ((trx: SqlExecutor) => Promise<unknown>) | undefined,
    giveUp: AbortSignal,
  ): Promise<void> {
    const { dialect, transactionMs } = this.#database
    await this.#database.transaction((trx) =>
      this.#database.enter(async () => {
        if (fn) await withExecutor(trx, dialect, { ms: transactionMs, giveUp }, fn)
        if (!(await checkpointIn(trx, dialect, nodeId, checkpoint))) throw new ItemLost()
      }),
    )
  }

  note(laneId: number, name: string): Promise<StoredNote | undefined> {
    return laneNote(this.#database, laneId, name)
  }

  saveNote(laneId: number, name: string, note: Parameters<typeof saveLaneNote>[3]): Promise<void> {
    return this.#database.retry(() => saveLaneNote(this.#database, laneId, name, note))
  }

  leaseState(request: StateRequest): ReturnType<typeof leaseState> {
    return leaseState(this.#database, request)
  }

  createdState(request: StateRequest, name: string, value: string | undefined): Promise<void> {
    return this.#database.retry(() => createdState(this.#database, request, name, value))
  }

  addScores(changes: readonly ScoreChange[]): Promise<void> {
    return addScores(this.#database, changes)
  }

  scores(jobId: string, group: string): Promise<StoredScore[]> {
    return itemScores(this.#database, jobId, group)
  }

  list(runId: number, filter: ItemFilter): Promise<StoredItem[]> {
    return listItems(this.#database, runId, filter)
  }

  show(id: number): ReturnType<typeof showItem> {
    return showItem(this.#database, id)
  }

  newestFence(runId: number): ReturnType<typeof newestFence> {
    return newestFence(this.#database, runId)
  }

  lanes(filter: LaneFilter): Promise<LaneStatus[]> {
    return listLanes(this.#database, filter)
  }

  pauseLanes(request: Parameters<typeof pauseLanes>[1]): Promise<number> {
    return pauseLanes(this.#database, request)
  }

  replay(nodeId: string, filter: ItemReplayFilter): Promise<number> {
    return replayItems(this.#database, nodeId, filter)
  }

  /** Counts the items of a generation that are running now. */
  running(fence: number): Promise<number> {
    return runningItems(this.#database, fence)
  }

  ensureLanes(lanes: readonly LaneRef[]): Promise<Map<string, number>> {
    return this.#database.retry(() => ensureLanes(this.#database.db, this.#database.dialect, lanes))
  }

  wakeLanes(ids: readonly number[]): Promise<void> {
    return this.#database.retry(() => wakeLanes(this.#database.db, this.#database.dialect, ids))
  }

  /** Returns the time of the database's clock, in milliseconds since 1970. */
  async now(): Promise<number> {
    const { db, dialect } = this.#database
    const { now } = await db.selectNoFrom(dialect.now().as('now')).executeTakeFirstOrThrow()
    return dialect.date(now).getTime()
  }

  openOf(runId: number): Promise<OpenItems | 'ending' | undefined> {
    return openItemsOf(this.#database, runId)
  }

  addSeeds(seeds: Seeds): ReturnType<typeof addSeeds> {
    return addSeeds(this.#database, seeds)
  }

  endSeeds(seeds: Parameters<typeof endSeeds>[1]): Promise<void> {
    return endSeeds(this.#database, seeds)
  }

  idle(fences: readonly number[]): Promise<number[]> {
    return idleItems(this.#database, fences)
  }

  infos(fences: readonly number[]): Promise<ItemRunInfo[]> {
    return itemRunInfos(this.#database, fences)
  }

  counts(fence: number): ReturnType<typeof itemCounts> {
    return itemCounts(this.#database, fence)
  }

  sweep(request: SweepRequest): Promise<Swept> {
    return sweepItems(this.#database, request)
  }

  forget(): Promise<boolean> {
    return forgetItems(this.#database)
  }

  forgetNotes(): Promise<boolean> {
    return forgetNotes(this.#database)
  }

  forgetLanes(after: number): Promise<number> {
    return forgetLanes(this.#database, after)
  }

  unnamedKept(names: ReadonlyMap<number, readonly string[]>): Promise<readonly string[]> {
    return unnamedKept(this.#database, names)
  }

  storeSpeeds(nodeId: string, speeds: readonly LaneSpeed[]): Promise<void> {
    return this.#database.retry(() => storeSpeeds(this.#database, nodeId, speeds))
  }

  slowLanes(laneIds: readonly number[]): Promise<void> {
    return slowLanes(this.#database, laneIds)
  }

  openLanes(): Promise<ReadonlyMap<string, number>> {
    return openLanes(this.#database)
  }

  forgetSpeeds(): Promise<boolean> {
    return forgetSpeeds(this.#database)
  }

  storedBytes(itemId: number): Promise<Uint8Array | undefined> {
    return storedBytes(this.#database, itemId)
  }
}

/** Thrown to roll back a transaction whose item this node no longer holds. */
export class ItemLost extends Error {}
