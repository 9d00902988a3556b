// Long because it is one state machine: the states of an item from its claim to its stored end.
import { isWhole } from '../../errors-read.ts'
import { isPikoError, PikoError, toError } from '../../errors.ts'
import type { Events } from '../../events.ts'
import { isTroubled } from '../../item/breaker.ts'
import { type KindPolicy, limitsOf } from '../../job/items/item-policy.ts'
import type { JobRegistry } from '../../job/registry.ts'
import type { JobDefinition } from '../../job/spec.ts'
import { fromJson } from '../../json/json.ts'
import { runCancelled, runTimedOut } from '../../run/attempt.ts'
import { storedMessage } from '../../run/run-error.ts'
import type { Claim, Outcome } from '../../run/run.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'
import { Service } from '../../service/service.ts'
import type { ClockReading } from '../../item/database-clock.ts'
import type { ItemClaim } from '../../store/items/claim-items.ts'
import type { ItemEnd } from '../../store/items/end-items.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import type { LaneOutcome } from '../../store/items/settle-lanes.ts'
import { claimOf } from '../../store/runs/run-row.ts'
import type { Dialect } from '../../store/connection/dialect.ts'
import { type Clock, TIME_LIMIT } from '../../clock.ts'
import type { Logger } from '../../logger.ts'
import { LiveAttempt } from '../attempt/live-attempt.ts'
import { outcomeOf, type RunPipeline } from '../attempt/run-pipeline.ts'
import { Deadlines } from '../execution/deadlines.ts'
import { ItemAttempt, ItemLeave } from './item-attempt.ts'
import { type DecidedEnd, endOf } from './item-outcome.ts'
import type { ItemCommits } from './item-commits.ts'
import { type ItemActions, itemContext, itemOf } from './item-context.ts'
import type { ItemCompleter, ItemStored } from './item-completer.ts'
import { ItemRuns } from './item-runs.ts'
import { ItemSlots } from './item-slots.ts'
import type { KeptBytes } from './kept-bytes.ts'
import type { Kept } from '../../store/items/kept-bytes.ts'
import type { LaneTurns } from './lane-turns.ts'
import { Preparations } from './preparations.ts'
import type { LaneSpeeds } from './measures/lane-speeds.ts'
import type { LoopPressure } from './measures/loop-pressure.ts'
import { hookJob } from './dead-hook.ts'

export interface ItemRunnerParts {
  readonly registry: JobRegistry
  readonly store: Pick<ItemStore, 'infos'>
  readonly dialect: () => Dialect
  readonly clock: Clock
  readonly events: Events
  readonly nodeId: () => string
  readonly holdsLease: () => boolean
  readonly runLog: (claim: Claim) => Logger
  readonly random: () => number
  readonly concurrency: number
  readonly graceMs: number
  readonly shutdownTimeoutMs: number
  readonly completer: ItemCompleter
  readonly kept: KeptBytes
  readonly actions: ItemActions
  readonly commits: ItemCommits
  readonly turns: Pick<LaneTurns, 'join' | 'leave' | 'opensAt' | 'take'>
  readonly speeds: LaneSpeeds
  readonly pressure: LoopPressure
  readonly pipeline: RunPipeline
  /** Called when a slot becomes free. */
  readonly onFree: () => void
  /** Called when this node no longer holds an item: its end is stored, or another node has the item. */
  readonly onEnded: (attempt: { readonly fence: number; readonly laneId: number; readonly isLimited: boolean }) => void
}

/** An item that this node has claimed. */
interface Held {
  readonly item: ItemClaim
  readonly nodeId: string
  readonly reading: ClockReading
  /** Whether a slot is reserved for the item. */
  hasReserved: boolean
  /** The bytes that an earlier attempt has kept. */
  kept: Uint8Array | undefined
  attempt: ItemAttempt | undefined
  live: LiveAttempt | undefined
  /** Whether the item has a slot. It has one from the start of its attempt until its function has returned. */
  hasSlot: boolean
  /** Whether the item's function has returned. Then it certainly sends nothing more to its lane. */
  hasReturned: boolean
  /** How the item will end. Set only while the function `dead` of its kind is running. */
  dying: DecidedEnd | undefined
  isOver: boolean
  cancelTimeout: (() => void) | undefined
  cancelGrace: (() => void) | undefined
}

const STOP_MARGIN_MS = 500
/** The time limit for the function `dead` of an item's kind, in milliseconds. */
const HOOK_MS = 60_000
/** How long to wait before an item that could not begin is tried again, because its run or its kept bytes could not be read. */
const UNREAD_MS = 1_000

/** Runs claimed items, each in a slot, from its start time to its stored end. A stop waits for items in progress. */
export class ItemRunner extends Service {
  readonly runs: ItemRuns
  readonly #parts: ItemRunnerParts
  /** Not a map by id: an item may be claimed again while an earlier attempt, which has lost it, is still ending. */
  readonly #held = new Set<Held>()
  readonly #deadlines: Deadlines
  /** Lanes that were slowed down or have failures. The successes of their items must be stored. */
  readonly #troubled = new Set<number>()
  readonly #slots: ItemSlots<Held>
  readonly #preparations = new Preparations()
  /** Each job without the options that only the handler of a run uses. */
  readonly #plain = new WeakMap<JobDefinition, Pick<JobDefinition, 'spec' | 'policy'>>()
  #isStopping = false
  #onIdle: (() => void) | undefined

  constructor(parts: ItemRunnerParts) {
    super({ name: 'item-runner' })
    this.#parts = parts
    this.runs = new ItemRuns(parts.store, () => parts.clock.monotonic())
    this.#deadlines = new Deadlines(parts.clock)
    this.#slots = new ItemSlots({
      ...{ concurrency: () => this.#concurrency, clock: parts.clock },
      begin: (held) => this.#begun(held),
      giveBack: (held) => this.#giveBack(held),
    })
  }

  /** How many more items this node can take now. */
  get room(): number {
    if (this.#isStopping) return 0
    const concurrency = this.#concurrency
    const room = concurrency + this.#slots.ahead - this.#held.size + this.#ending
    // A claim for a few items takes as long as one for many, and no slot is idle now, so the next claim waits for more room.
    return this.#slots.waiting > 0 && room < concurrency / 2 ? 0 : room
  }

  /** How many items this node runs at the same time. There are fewer while its event loop is late. */
  get #concurrency(): number {
    const { concurrency, pressure } = this.#parts
    return Math.max(1, Math.floor(concurrency * pressure.share))
  }

  /**
   * How many items are still storing their rows and outcomes after their functions have ended; at most one per slot. They occupy no slot.
   */
  get #ending(): number {
    let count = 0
    for (const held of this.#held) if (held.isOver || (held.live && !held.hasSlot)) count += 1
    return Math.min(count, this.#concurrency)
  }

  /** The ids of items whose functions have ended, but whose outcomes are not stored yet. */
  get over(): readonly number[] {
    const [over, under] = [new Set<number>(), new Set<number>()]
    for (const { item, hasReturned, dying } of this.#held) (hasReturned && !dying ? over : under).add(item.id)
    // An earlier attempt of an item may still be ending although this node already holds a later one. Such items are left out.
    return [...over].filter((id) => !under.has(id))
  }

  /** The ids of the items that this node holds. */
  get held(): ReadonlySet<number> {
    return new Set([...this.#held].map(({ item }) => item.id))
  }

  get active(): number {
    return this.#slots.used
  }

  /** The generations of the items that this node holds. */
  get fences(): ReadonlySet<number> {
    return new Set([...this.#held].map(({ item }) => item.fence))
  }

  take(items: readonly ItemClaim[], nodeId: string, reading: ClockReading): void {
    const loaded = this.runs.load(items.map(({ fence }) => fence))
    loaded.catch(() => undefined)
    for (const item of items) {
      const held: Held = {
        ...{ item, nodeId, reading, hasReserved: item.inMs > 0, kept: undefined },
        ...{ attempt: undefined, live: undefined, hasSlot: false, hasReturned: false, dying: undefined, isOver: false },
        ...{ cancelTimeout: undefined, cancelGrace: undefined },
      }
      this.#held.add(held)
      if (held.hasReserved) this.#slots.reserve()
      if (item.place) this.#parts.turns.join(item.lane.id, item.place)
      if (isTroubled(item.lane.breaker) || item.lane.factor < 1) this.#troubled.add(item.lane.id)
      else this.#troubled.delete(item.lane.id)
      void this.#inTime(held, loaded)
    }
  }

  /** Aborts all items that have begun, with this reason. */
  abortAll(reason: Error): void {
    for (const held of this.#held) this.#abort(held, reason)
  }

  /** Aborts the items of runs that have ended or are being cancelled. */
  stopEnded(): void {
    for (const held of this.#held) {
      const { fence } = held.item
      if (this.runs.isStopped(fence)) this.#abort(held, runCancelled(this.runs.get(fence)?.run.id))
    }
  }

  #abort(held: Held, reason: Error): void {
    if (held.isOver) return
    if (held.live) held.live.abort(reason)
  }

  async #inTime(held: Held, loaded: Promise<void>): Promise<void> {
    const { item, reading } = held
    const { clock, kept, turns } = this.#parts
    try {
      // The kept bytes are read before the item's start time. Otherwise many items would begin at the same time when a slow database
      // answers.
      const bytes = kept.read(item.id, item.kept)
      bytes.catch(() => undefined)
      await loaded
      held.kept = await bytes
      const kind = this.#kindOf(item)
      if (kind) await this.#preparations.of(kind)
      const beginsAt = item.place ? turns.opensAt(item.place) : reading.readAt + item.inMs
      const waitMs = beginsAt - clock.monotonic()
      if (waitMs > 0) await clock.sleep(waitMs)
      this.#inTurn(held)
    } catch {
      // The run or the kept bytes could not be read, so the item has not begun.
      this.#end(held, { to: 'queued', delayMs: UNREAD_MS }, undefined)
    }
  }

  #kindOf({ jobId, kind }: ItemClaim): KindPolicy | undefined {
    return this.#parts.registry.find(jobId)?.policy.items?.kinds.get(kind)
  }

  #inTurn(held: Held): void {
    if (this.#isStopping) return this.#giveBack(held)
    if (!held.hasReserved) return this.#slots.take(held)
    held.hasReserved = false
    this.#slots.takeReserved(held)
  }

  /**
   * Starts the function of an item. Returns whether it runs. Never throws, because it may be called when the function of another item ends.
   */
  #begun(held: Held): boolean {
    try {
      return this.#begin(held)
    } catch {
      // The row of the item or of its run can't be read.
      this.#end(held, { to: 'queued', delayMs: UNREAD_MS }, undefined)
      return false
    }
  }

  #begin(held: Held): boolean {
    const { item, nodeId, reading, kept } = held
    const { registry, clock } = this.#parts
    const info = this.runs.get(item.fence)
    const job = registry.find(item.jobId)
    const kind = this.#kindOf(item)
    if (nodeId !== this.#parts.nodeId()) this.#drop(held)
    else if (this.#isStopping) this.#giveBack(held)
    else if (this.runs.isStopped(item.fence)) this.#end(held, { to: 'cancelled' }, undefined)
    else if (!info || !job || !kind || !this.#parts.holdsLease()) this.#giveBack(held)
    if (held.isOver || !job || !kind || !info) return false
    const tries = triesOf(item.tries)
    const run = claimOf(info.run, this.#parts.dialect())
    const attemptNumber = Object.values(tries).reduce((sum, count) => sum + count, 1)
    const claim: Claim = { ...run, attempt: attemptNumber, fence: item.fence }
    // This is the database's clock, so that `due` and the periods of `within` mean the same on all nodes.
    const now = (): number => reading.databaseMs + clock.monotonic() - reading.readAt
    const attempt = new ItemAttempt({ item, kind, job, nodeId, claim, tries, kept, now, begunMs: info.begunMs })
    this.#run(held, attempt)
    return true
  }

  #run(held: Held, attempt: ItemAttempt): void {
    const { clock, runLog, graceMs } = this.#parts
    const { kind, claim } = attempt
    const startedAt = clock.now()
    const live = new LiveAttempt(claim, held.nodeId, this.#jobOf(held, attempt), startedAt, {
      runLog,
      onAbort: (aborted) => {
        if (!held.isOver)
          held.cancelGrace = this.#deadlines.add(graceMs, () =>
            this.#over(held, outcomeOf(aborted, toError(aborted.abortReason))),
          )
      },
    })
    live.itemId = attempt.item.id
    attempt.live = live
    attempt.startedAt = clock.monotonic()
    held.attempt = attempt
    held.live = live
    held.hasSlot = true
    this.#parts.commits.begin(attempt)
    const { timeoutMs } = kind
    if (timeoutMs !== undefined)
      held.cancelTimeout = this.#deadlines.add(timeoutMs, () => live.abort(runTimedOut(claim, timeoutMs)))
    const outcome = this.#parts.pipeline.run(live)
    if (outcome instanceof Promise) {
      void outcome.then(
        (late) => this.#over(held, late),
        (thrown: unknown) => this.#over(held, { kind: 'failure', error: toError(thrown) }),
      )
    } else this.#over(held, outcome)
  }

  /** Creates a job whose handler calls the item's function, because the pipeline runs jobs. */
  #jobOf(held: Held, attempt: ItemAttempt): JobDefinition {
    const { job, kind } = attempt
    const { actions, holdsLease, turns } = this.#parts
    const { lane, place } = attempt.item
    const handler: JobDefinition['handler'] = async (base) => {
      // The item takes its turn at the last moment, because it may have been waiting for a resource.
      if (place && kind.kind.turn !== 'call') {
        attempt.hasTurn = await turns.take({ lane, place, signal: base.signal, isFirst: true })
        if (!attempt.hasTurn) throw new ItemLeave({ laterMs: 0 })
      }
      const item = itemOf(attempt)
      attempt.calledAt = this.#parts.clock.monotonic()
      try {
        await kind.kind.run(item, itemContext(base as never, attempt, item, actions))
      } finally {
        // While its rows are sent to the sinks, the item needs no slot.
        this.#handled(held)
      }
      // If the process was suspended, another node may already have the item, so this process must not send rows to sinks.
      if (!holdsLease())
        throw new PikoError('LEASE_LOST', `item ${item.id} of job "${job.id}" may belong to another node`)
    }
    const known = this.#plain.get(job)
    const plain = known ?? { spec: { ...job.spec, output: undefined }, policy: { ...job.policy, items: undefined } }
    if (!known) this.#plain.set(job, plain)
    return { ...job, spec: plain.spec, policy: plain.policy, handler }
  }

  #handled(held: Held): void {
    held.hasReturned = true
    const { attempt } = held
    if (attempt) {
      attempt.returnedAt = this.#parts.clock.monotonic()
      this.#slots.took(attempt.returnedAt - attempt.startedAt)
    }
    this.#free(held)
  }

  #over(held: Held, outcome: Outcome): void {
    if (held.isOver || held.dying) return
    const { attempt, live } = held
    held.cancelTimeout?.()
    held.cancelGrace?.()
    if (!attempt || !live) return
    live.isOver = true
    attempt.isOver = true
    if (attempt.isCommitted) return this.#stored(held, 'stored', { to: 'done' })
    const isLost = isPikoError(live.abortReason, 'LEASE_LOST') || !this.#parts.holdsLease()
    if (isLost) return this.#drop(held)
    const { clock, random } = this.#parts
    const isTroubled = this.#troubled.has(held.item.lane.id)
    const { end, lane } = endOf(attempt, outcome, { random: random(), now: clock.now(), isTroubled })
    if (lane && lane.outcome !== 'success') this.#troubled.add(lane.laneId)
    if (end.to === 'dead' && attempt.kind.kind.dead) this.#beforeDeath(held, attempt, { end, lane }, outcome)
    else this.#end(held, end, lane)
  }

  /**
   * Calls the kind's function `dead` before the end is stored. If this node dies in between, another node tries the item again and calls
   * `dead` again.
   */
  #beforeDeath(held: Held, attempt: ItemAttempt, decided: DecidedEnd, failed: Outcome): void {
    const { clock, runLog, graceMs, pipeline } = this.#parts
    const { claim } = attempt
    held.dying = decided
    const live = new LiveAttempt(claim, held.nodeId, hookJob(attempt, failed), clock.now(), {
      runLog,
      onAbort: (aborted) => {
        if (!held.isOver)
          held.cancelGrace = this.#deadlines.add(graceMs, () =>
            this.#died(held, live, outcomeOf(aborted, toError(aborted.abortReason))),
          )
      },
    })
    live.itemId = attempt.item.id
    live.isDead = true
    held.live = live
    held.cancelTimeout = this.#deadlines.add(HOOK_MS, () => live.abort(runTimedOut(claim, HOOK_MS)))
    void (async () => pipeline.run(live))().then(
      (outcome) => this.#died(held, live, outcome),
      (thrown: unknown) => this.#died(held, live, { kind: 'failure', error: toError(thrown) }),
    )
  }

  #died(held: Held, live: LiveAttempt, outcome: Outcome): void {
    const { dying } = held
    if (held.isOver || !dying) return
    held.cancelTimeout?.()
    held.cancelGrace?.()
    live.isOver = true
    if (isPikoError(live.abortReason, 'LEASE_LOST') || !this.#parts.holdsLease()) return this.#drop(held)
    // For example, this node is stopping. Then another node tries the item again.
    if (outcome.kind === 'interrupted') return this.#giveBack(held)
    if ('error' in outcome)
      live.log.error({ err: outcome.error }, 'the function `dead` of an item failed; the item is dead anyway')
    this.#end(held, dying.end, dying.lane)
  }

  /** Returns an item to the queue. This does not count as a try. */
  #giveBack(held: Held): void {
    this.#end(held, { to: 'queued', delayMs: 0 }, undefined)
  }

  #end(held: Held, end: ItemEnd, lane: LaneOutcome | undefined): void {
    if (held.isOver) return
    held.isOver = true
    this.#free(held)
    const { item, nodeId, attempt } = held
    const { clock, completer, kept } = this.#parts
    const isWritten = end.to === 'done'
    if (attempt) this.#measure(held, attempt, end)
    const keepsBytes = attempt && (end.to === 'dead' || end.to === 'queued')
    void (async () => (keepsBytes ? kept.keep(item.id, attempt.kept) : undefined))()
      .catch(() => undefined)
      .then((bytes) =>
        completer.finish(
          {
            ...{ nodeId, end, lane, kept: bytes, hadKept: item.kept !== undefined },
            held: { id: item.id, fence: item.fence, jobId: item.jobId, kind: item.kind, claims: item.claims },
            added: isWritten && attempt ? attempt.added.items : [],
            left: isWritten && attempt ? attempt.added.left : new Map<string, number>(),
            ms: attempt ? clock.monotonic() - attempt.startedAt : 0,
            bytes: attempt?.bytes ?? 0,
            states: attempt?.stateEnds() ?? [],
          },
          (how) => this.#stored(held, how, end, bytes),
        ),
      )
  }

  /** Records the speed of the lane, unless the item returns to the queue without a failure. */
  #measure({ item }: Held, attempt: ItemAttempt, end: ItemEnd): void {
    if (end.to === 'queued' && end.tries === undefined) return
    const ms = attempt.laneMs === undefined ? this.#parts.clock.monotonic() - attempt.startedAt : attempt.laneMs
    this.#parts.speeds.ended(item.lane.id, ms ?? undefined, limitsOf(attempt.kind, item.lane.name).throttle)
  }

  /** Drops an item that may belong to another node now. Writes nothing. */
  #drop(held: Held): void {
    held.isOver = true
    this.#free(held)
    this.#stored(held, 'lost', undefined)
  }

  #free(held: Held): void {
    if (held.hasReserved) {
      held.hasReserved = false
      this.#slots.unreserve()
    }
    if (!held.hasSlot) return
    held.hasSlot = false
    this.#slots.release()
    this.#parts.onFree()
  }

  #stored(held: Held, how: ItemStored, end: ItemEnd | undefined, bytes?: Kept): void {
    held.isOver = true
    this.#free(held)
    const { item } = held
    if (how === 'stored' && end) this.#dropKept(item, end, bytes)
    if (this.#held.delete(held) && item.place) this.#parts.turns.leave(item.lane.id)
    if (held.attempt) this.#parts.commits.forget(held.attempt)
    if (how !== 'lost') this.#tell(held, how, end)
    const isDead = how === 'dead' || (how === 'stored' && end?.to === 'dead')
    if (isDead) {
      this.#parts.events.emit('item.dead', {
        ...{ runId: this.runs.get(item.fence)?.run.id ?? 0, jobId: item.jobId, itemId: item.id, kind: item.kind },
        ...{ key: item.key, class: end?.to === 'dead' ? end.reason : 'error' },
        error: end?.to === 'dead' ? storedMessage(end.error) : undefined,
      })
    }
    const isLimited = item.lane.parallel !== undefined || this.#troubled.has(item.lane.id) || end?.to === 'queued'
    this.#parts.onEnded({ fence: item.fence, laneId: item.lane.id, isLimited })
    if (this.#held.size === 0) this.#onIdle?.()
    this.#parts.onFree()
  }

  /**
   * Deletes the file of an earlier attempt if its item no longer needs it: the item is done, skipped or cancelled, or has kept other bytes
   * or none.
   */
  #dropKept({ kept }: ItemClaim, { to }: ItemEnd, bytes: Kept | undefined): void {
    const isNeeded = (to === 'dead' || to === 'queued') && (bytes === undefined || bytes.ref === kept)
    if (kept === undefined || isNeeded) return
    // If the file can't be deleted, it only uses some disk space.
    this.#parts.kept.drop(kept).catch(() => undefined)
  }

  #tell({ item, attempt }: Held, how: ItemStored, end: ItemEnd | undefined): void {
    const { clock, events } = this.#parts
    const now = clock.monotonic()
    events.emit('item.ended', {
      ...{ runId: this.runs.get(item.fence)?.run.id ?? 0, jobId: item.jobId, itemId: item.id, kind: item.kind },
      state: how === 'dead' || !end ? 'dead' : end.to,
      class: end?.to === 'dead' ? end.reason : undefined,
      durationMs: attempt ? now - attempt.startedAt : 0,
      phases: attempt?.phases(now),
    })
  }

  protected override onStart(): void {
    this.#isStopping = false
    this.#parts.pressure.start()
  }

  /** Waits for the items in progress until the deadline, then returns the unfinished ones to the queue without counting their attempts. */
  protected override async onStop(why: StopReason): Promise<void> {
    this.#parts.pressure.stop()
    if (why === 'crash') return
    this.#isStopping = true
    this.#slots.giveBackAll()
    const { clock, shutdownTimeoutMs, graceMs, completer } = this.#parts
    const idle = this.#whenIdle()
    const abortAt = Math.max(0, shutdownTimeoutMs - graceMs - STOP_MARGIN_MS)
    if (await within(clock, abortAt, idle)) return
    this.abortAll(
      new PikoError('STOPPED', 'this node is stopping; the item returns to the queue, and the attempt does not count'),
    )
    if (await within(clock, graceMs + STOP_MARGIN_MS, idle)) return
    completer.abandon()
  }

  async #whenIdle(): Promise<void> {
    if (this.#held.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
  }
}

/** Waits for work, but not longer than this time. @returns whether the work has ended in time */
async function within(clock: Clock, ms: number, work: Promise<void>): Promise<boolean> {
  const done = new AbortController()
  await Promise.race([work.then(() => done.abort()), clock.sleep(ms, done.signal, TIME_LIMIT)])
  return done.signal.aborted
}

/** Reads the tries by class. Ignores unreadable values, because a person may have edited the text. */
function triesOf(text: string | null): Readonly<Record<string, number>> {
  const given = fromJson(text)
  if (typeof given !== 'object' || given === null) return {}
  // An object built by assignments would lose a class named `__proto__`.
  return Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, number] => isWhole(entry[1]) && entry[1] > 0),
  )
}
