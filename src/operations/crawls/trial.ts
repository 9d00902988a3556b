import { RunLocks } from '../../engine/attempt/run-locks.ts'
import { LiveAttempt } from '../../engine/attempt/live-attempt.ts'
import { type RunActions, RunContext } from '../../engine/attempt/run-context.ts'
import { ItemAttempt } from '../../engine/items/item-attempt.ts'
import { type ItemActions, itemContext, itemOf } from '../../engine/items/item-context.ts'
import { chainOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import { CLOSED } from '../../item/breaker.ts'
import type { LeasedState, LeaseOptions } from '../../job/items/item-context.ts'
import type { KindPolicy } from '../../job/items/item-policy.ts'
import type { PageTrial } from '../../job/job-extension.ts'
import type { JobDefinition } from '../../job/spec.ts'
import { toJson } from '../../json/json.ts'
import { withRunSignal } from '../../offload/signal.ts'
import type { ResourceMap } from '../../resource/resource.ts'
import { runTimedOut } from '../../run/attempt.ts'
import type { Claim } from '../../run/run.ts'
import { after } from '../../time/after.ts'
import { untilAborted } from '../../signals/until-aborted.ts'
import type { SinkMap } from '../../sink/sink.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import type { Window } from '../../time/window.ts'
import type { Reach } from '../reach.ts'
import { type TriedWriter, triedWriters } from './tried-rows.ts'

export interface TrialParts {
  readonly reach: Pick<Reach, 'store' | 'locks' | 'shared' | 'caches' | 'trial'>
  readonly job: JobDefinition
  readonly kind: KindPolicy
  readonly page: PageTrial
  readonly config: unknown
  readonly window: Window | undefined
  readonly signal: AbortSignal | undefined
}

/** Thrown to roll back a transaction. */
class RolledBack extends Error {}
const WHY = 'a trial stores nothing'

function isRolledBack(thrown: unknown): boolean {
  return chainOf(thrown).some((one) => one instanceof RolledBack)
}

/**
 * Calls the function of an item that is not stored. The config, resources, shared values and locks are the same as in a run. Transactions
 * are rolled back, and rows are only returned.
 */
export class Trial implements ItemActions {
  readonly attempt: ItemAttempt
  readonly writers: Readonly<Record<string, TriedWriter>>
  readonly #parts: TrialParts
  readonly #live: LiveAttempt

  constructor(parts: TrialParts) {
    const { job, kind, page, config, window, reach } = parts
    this.#parts = parts
    this.writers = triedWriters(job.spec.sinks as SinkMap | undefined)
    const now = new Date(reach.trial.clock.now())
    const claim: Claim = {
      ...{ runId: 0, jobId: job.id, kind: 'manual', attempt: 1, fence: 0, runAt: now, tick: undefined },
      ...{ window, config, input: undefined },
    }
    this.#live = new LiveAttempt(claim, '', job, now.getTime(), {
      runLog: reach.trial.runLog,
      onAbort: () => {},
    })
    this.attempt = new ItemAttempt({
      ...{ job, kind, nodeId: '', claim, tries: {}, kept: undefined, now: () => now.getTime(), begunMs: now.getTime() },
      item: {
        ...{ id: 0, fence: 0, jobId: job.id, kind: kind.name, priority: page.priority, depth: 0, key: page.key },
        ...{ data: toJson(page.data, 'data'), parentId: undefined, claims: 1, tries: null, kept: undefined },
        ...{ position: undefined, inMs: 0, place: undefined },
        lane: {
          ...{ id: 0, name: page.lane, rate: undefined, parallel: undefined, freeAt: 0, delayMs: undefined },
          ...{ factor: 1, successes: 0, breaker: CLOSED },
        },
      },
    })
    this.attempt.live = this.#live
  }

  /** Calls the function of the item. @throws the error of the function or of its time limit, or the reason of the signal */
  async run(): Promise<void> {
    const { kind, signal } = this.#parts
    const live = this.#live
    const leave = (): void => live.abort(signal?.reason)
    if (signal?.aborted) leave()
    signal?.addEventListener('abort', leave, { once: true })
    const { timeoutMs } = kind
    const cancelTimeout =
      timeoutMs === undefined ? undefined : after(timeoutMs, () => live.abort(runTimedOut(live.claim, timeoutMs)))
    try {
      await untilAborted(this.#called(), live.signal)
      for (const writer of Object.values(this.writers)) writer.flush()
    } finally {
      cancelTimeout?.()
      signal?.removeEventListener('abort', leave)
      live.isHandled = true
      await live.locks?.release(live.log)
    }
  }

  async #called(): Promise<void> {
    const { job, page, config, window, reach } = this.#parts
    const { runId, jobId, attempt, fence } = this.#live.claim
    const { signal, log } = this.#live
    const { values, release } = await reach.trial.borrow((job.spec.resources as ResourceMap | undefined) ?? {}, {
      ...{ runId, jobId, attempt, fence, signal, log, config, window },
      limit: reach.trial.limit(signal),
    })
    try {
      const base = new RunContext(this.#live, config, values, this.writers, this.#runActions)
      const item = itemOf(this.attempt)
      await withRunSignal(base, () => page.run(item, itemContext(base, this.attempt, item, this) as never))
    } finally {
      // The resources are given back as after a failed run, so that their transactions are rolled back.
      await release({ ok: false, error: new RolledBack(WHY) }).catch((error: unknown) => {
        if (!isRolledBack(error)) log.warn({ err: error }, 'a resource could not be returned')
      })
    }
  }

  get #runActions(): RunActions {
    const { reach } = this.#parts
    return {
      commit: (_attempt, fn) => this.#rolledBack(fn),
      lock: (live, name, options) => {
        live.locks ??= new RunLocks(reach.locks, live.signal)
        return live.locks.acquire(name, options)
      },
      limit: (live) => reach.trial.limit(live.signal),
      cache: (live, definition) => reach.caches.forRun(definition, live.signal),
      shared: (live, definition) => reach.shared.handle(definition, live.signal),
      progress: () => {},
      steps: () => {
        throw noPart('step')
      },
      items: () => {
        throw noPart('items')
      },
      onConfigChange: () => () => {},
    }
  }

  /** Calls a function in a transaction that is rolled back, and returns the function's result. */
  async #rolledBack<T>(fn: (trx: SqlExecutor) => Promise<T>): Promise<T> {
    const result: { value?: T } = {}
    try {
      await this.#parts.reach.store.database.sql.transaction(async (trx) => {
        result.value = await fn(trx)
        throw new RolledBack(WHY)
      })
    } catch (thrown) {
      if (!isRolledBack(thrown)) throw thrown
    }
    return result.value as T
  }

  async checkpoint(
    _attempt: ItemAttempt,
    _position: string,
    fn: ((trx: SqlExecutor) => Promise<unknown>) | undefined,
  ): Promise<void> {
    if (fn) await this.#rolledBack(fn)
  }

  lane({ item }: ItemAttempt): ReturnType<ItemActions['lane']> {
    return {
      name: item.lane.name,
      spacingMs: 0,
      turn: async () => true,
      note: async (_name, load) => (await load(this.#live.signal)).text,
      measured: () => {},
      counts: () => {},
    }
  }

  async state(_attempt: ItemAttempt, _pool: string, options: unknown): Promise<LeasedState<unknown>> {
    const { create, name = 'trial' } = options as LeaseOptions<unknown>
    const value = await create(name, this.#live.signal)
    return { name, value, uses: 0, errors: 0, save: () => {}, failed: () => {}, retire: () => {} }
  }

  score(): void {
    // A trial does not change the scores that other items use for their choices.
  }

  async scores(attempt: ItemAttempt, group: string): ReturnType<ItemActions['scores']> {
    const scores = await this.#parts.reach.store.items.scores(attempt.job.id, group)
    return new Map(scores.map((score) => [score.name, score]))
  }
}

function noPart(part: string): PikoError {
  return new PikoError('USAGE', `ctx.${part} is not part of the context of an item`)
}
