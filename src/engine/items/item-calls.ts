import { randomUUID } from 'node:crypto'
import { describe, propertyOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import { fromJson } from '../../json/json.ts'
import { storable } from '../../json/storable.ts'
import { spacingMs } from '../../item/lane.ts'
import type { LaneNote, LeasedState, LeaseOptions } from '../../job/items/item-context.ts'
import { readCall } from '../../calls/call-checks.ts'
import { isText } from '../../job/items/read-items.ts'
import { aFunction, type OptionChecks, readOptions, wholeNumber } from '../../options.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import type { ItemStore } from '../../store/items/item-store.ts'
import type { StateRequest } from '../../store/items/leased-states.ts'
import { isKey } from '../../store/values/exact-key.ts'
import { aDuration } from '../../time/duration-check.ts'
import { type Duration, durationMs, MAX_STORED_MS, readDuration } from '../../time/duration.ts'
import type { Clock } from '../../clock.ts'
import { type HeldState, type ItemAttempt, ItemLeave } from './item-attempt.ts'
import type { ItemCommits } from './item-commits.ts'
import type { ItemActions } from './item-context.ts'
import type { ItemScores } from './item-scores.ts'
import type { LaneNotes } from './lane-notes.ts'
import type { LaneTurns } from './lane-turns.ts'

export interface ItemCallsParts {
  readonly commits: ItemCommits
  readonly notes: LaneNotes
  readonly turns: Pick<LaneTurns, 'take'>
  readonly scores: ItemScores
  readonly store: Pick<ItemStore, 'leaseState' | 'createdState'>
  readonly clock: Clock
}

const MAX_NAME = 64
const MAX_STATE_NAME = 128
const MAX_STATE_BYTES = 1_000_000
const FIRST_PAUSE_MS = 20
const MAX_PAUSE_MS = 250
const MAX_STATES = 10_000

const LEASE: OptionChecks<LeaseOptions<unknown>> = {
  size: wholeNumber(1, MAX_STATES),
  create: aFunction,
  name: (value) =>
    isText(value, MAX_STATE_NAME)
      ? undefined
      : `is ${describe(value)}; expected a string of 1 to ${MAX_STATE_NAME} characters without lone surrogates`,
  wait: (value) => {
    const reading = readDuration(value, MAX_STORED_MS)
    return 'ms' in reading ? undefined : `is ${describe(value)}; expected ${reading.expected}`
  },
}

const TURN = { call: 'lane.turn', checks: { wait: aDuration(0, MAX_STORED_MS) }, example: "{ wait: '10s' }" }

/** Implements the calls of an item's context that need the store. */
export class ItemCalls implements ItemActions {
  readonly #parts: ItemCallsParts

  constructor(parts: ItemCallsParts) {
    this.#parts = parts
  }

  async checkpoint(
    attempt: ItemAttempt,
    position: string,
    fn: ((trx: SqlExecutor) => Promise<unknown>) | undefined,
  ): Promise<void> {
    const { live } = attempt
    if (!live) return
    // A position includes all rows that were written before it, so they are delivered first.
    await live.sinks?.deliver()
    await this.#parts.commits.checkpoint(attempt, position, fn, live.signal)
  }

  lane(attempt: ItemAttempt): ReturnType<ItemActions['lane']> {
    const { id, name, rate, factor, delayMs } = attempt.item.lane
    return {
      name,
      spacingMs: spacingMs(rate, factor, delayMs),
      turn: (options) => this.#turn(attempt, options),
      note: async (noteName: string, load: (signal: AbortSignal) => Promise<LaneNote>) => {
        if (!isKey(noteName, MAX_NAME))
          throw usage(
            `lane.note got the name ${describe(noteName)}; expected 1 to ${MAX_NAME} characters without lone surrogates`,
          )
        if (typeof load !== 'function') throw usage(`lane.note got ${describe(load)}; expected a function`)
        return this.#parts.notes.get(id, noteName, load, signalOf(attempt))
      },
      measured: (ms, options) => {
        if (ms !== undefined && !isMilliseconds(ms))
          throw usage(`lane.measured got ${describe(ms)}; expected a number of milliseconds`)
        if (options?.isFailed === true) attempt.failedLaneMs += ms ?? 0
        else attempt.laneMs = ms ?? null
      },
      counts: (isOfLane) => {
        attempt.isOfLane = isOfLane !== false
      },
    }
  }

  async #turn(attempt: ItemAttempt, options: unknown = {}): Promise<boolean> {
    attempt.assertOpen('lane.turn')
    const { wait } = readCall<{ readonly wait?: Duration }>(TURN, {}, options)
    const isFirst = attempt.kind.kind.turn === 'call' && !attempt.hasTurn
    const patienceMs = wait === undefined ? undefined : durationMs(wait)
    const isTurn = await this.#parts.turns.take({
      ...{ lane: attempt.item.lane, place: isFirst ? attempt.item.place : undefined, signal: signalOf(attempt) },
      ...{ isFirst: isFirst && wait === undefined, patienceMs },
    })
    if (isTurn) attempt.hasTurn = true
    else if (patienceMs === undefined) throw new ItemLeave({ laterMs: 0 })
    return isTurn
  }

  async state(attempt: ItemAttempt, pool: string, given: unknown): ReturnType<ItemActions['state']> {
    attempt.assertOpen('state')
    const { options, problems } = readOptions<LeaseOptions<unknown>>(
      given,
      LEASE,
      '{ size: 2, create: async () => ({}) }',
      ['size', 'create'],
    )
    if (!isKey(pool, MAX_NAME))
      throw usage(`state got the pool ${describe(pool)}; expected 1 to ${MAX_NAME} characters without lone surrogates`)
    if (problems.length > 0) throw usage(`state("${pool}"): ${problems.join('; ')}`)
    const { size = 1, create, name, wait = '30s' } = options
    const known = attempt.states.find((state) => state.pool === pool && (name === undefined || state.name === name))
    if (known) throw usage(`state("${pool}") was called twice in one item, which holds state "${known.name}" already`)
    const request: StateRequest = {
      ...{ nodeId: attempt.nodeId, jobId: attempt.job.id, pool, itemId: attempt.item.id, claims: attempt.item.claims },
      ...{ size, name, newName: randomUUID() },
    }
    const row = await this.#lease(request, durationMs(wait, 'wait'), signalOf(attempt))
    const held: HeldState = { pool, name: row.name, value: undefined, errors: 0, isRetired: false }
    attempt.states.push(held)
    const value = row.value ?? (await this.#create(attempt, request, held, create))
    return leased(held, attempt.job.id, { ...row, value })
  }

  async #lease(request: StateRequest, waitMs: number, signal: AbortSignal) {
    const { store, clock } = this.#parts
    const deadline = clock.monotonic() + waitMs
    let asked = request
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 2)) {
      const row = await store.leaseState(asked)
      if (row === 'lost') throw lost(request)
      // A retired state does not come back, so any other state may take its place.
      if (row === 'retired') asked = { ...asked, name: undefined }
      else if (row) return row
      else {
        if (clock.monotonic() >= deadline) throw busy(request, waitMs)
        await clock.sleep(pauseMs, signal)
        signal.throwIfAborted()
      }
    }
  }

  /**
   * Creates the value of a new state. Across all nodes, only the item that holds the state does this. If it fails, the next item tries
   * again.
   */
  async #create(
    attempt: ItemAttempt,
    request: StateRequest,
    held: HeldState,
    create: LeaseOptions<unknown>['create'] | undefined,
  ): Promise<string> {
    const { store } = this.#parts
    try {
      const value = stateText(await create?.(held.name, signalOf(attempt)), request.jobId)
      await store.createdState(request, held.name, value)
      return value
    } catch (error) {
      attempt.states.splice(attempt.states.indexOf(held), 1)
      await store.createdState(request, held.name, undefined)
      throw error
    }
  }

  score(attempt: ItemAttempt, group: string, name: string, outcome: unknown): void {
    if (!isKey(group, MAX_NAME) || !isKey(name, MAX_STATE_NAME)) {
      throw usage(
        `score got the group ${describe(group)} and the name ${describe(name)}; expected strings of 1 to ${MAX_NAME} and ${MAX_STATE_NAME} characters without lone surrogates`,
      )
    }
    const [ok, ms] = [propertyOf(outcome, 'ok'), propertyOf(outcome, 'ms')]
    if (typeof ok !== 'boolean') throw usage(`score got ${describe(outcome)}; expected { ok: true, ms: 12 }`)
    if (ms !== undefined && !isMilliseconds(ms))
      throw usage(`score got the ms ${describe(ms)}; expected a number of milliseconds`)
    this.#parts.scores.add(attempt.job.id, group, name, { ok, ms })
  }

  async scores(attempt: ItemAttempt, group: string): ReturnType<ItemActions['scores']> {
    if (!isKey(group, MAX_NAME))
      throw usage(
        `scores got the group ${describe(group)}; expected a string of 1 to ${MAX_NAME} characters without lone surrogates`,
      )
    return this.#parts.scores.of(attempt.job.id, group)
  }
}

function leased(
  held: HeldState,
  jobId: string,
  row: { readonly value: string; readonly uses: number; readonly errors: number },
): LeasedState<unknown> {
  return {
    name: held.name,
    value: fromJson(row.value),
    ...{ uses: row.uses, errors: row.errors },
    save: (value) => {
      held.value = stateText(value, jobId)
    },
    failed: () => {
      held.errors += 1
    },
    retire: () => {
      held.isRetired = true
    },
  }
}

/** Returns the JSON text of a state. @throws PikoError `USAGE` that names every value that JSON would lose */
function stateText(value: unknown, jobId: string): string {
  return JSON.stringify(storable(value ?? null, { jobId, what: 'state', maxBytes: MAX_STATE_BYTES }))
}

function signalOf({ live, item }: ItemAttempt): AbortSignal {
  if (live) return live.signal
  throw usage(`item ${item.id} has not begun`)
}

function lost({ jobId, itemId }: StateRequest): PikoError {
  return new PikoError('LEASE_LOST', `item ${itemId} of job "${jobId}" has ended, or now belongs to another node`, {
    details: { jobId, itemId },
  })
}

function busy({ jobId, pool, itemId }: StateRequest, waitMs: number): PikoError {
  return new PikoError(
    'LOCK_BUSY',
    `item ${itemId} of job "${jobId}" got no state of the pool "${pool}" within ${waitMs} ms: all are held by other items`,
    {
      details: { jobId, pool, itemId },
    },
  )
}

function isMilliseconds(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

function usage(problem: string): PikoError {
  return new PikoError('USAGE', `ctx.${problem}`)
}
