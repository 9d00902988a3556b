import type { RunCalls } from '../../calls/run-calls.ts'
import type { FleetLimit } from '../../run/fleet-limit.ts'
import type { HeldLock, JobContext, RunLockOptions } from '../../job/context.ts'
import type { Cache, CacheDefinition } from '../../job/cached-value.ts'
import type { SharedDefinition, SharedHandle } from '../../job/shared-value.ts'
import type { StepMapOptions, StepScope } from '../../job/steps.ts'
import type { ResourceMap } from '../../resource/resource.ts'
import type { SinkMap } from '../../sink/sink.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import type { Window } from '../../time/window.ts'
import type { LiveAttempt } from './live-attempt.ts'
import type { RunSteps } from './steps/run-steps.ts'
import type { Logger } from '../../logger.ts'

/** The implementation of the functions of a handler's context. */
export interface RunActions {
  commit<T>(attempt: LiveAttempt, fn: (trx: SqlExecutor) => Promise<T>): Promise<T>
  lock(attempt: LiveAttempt, name: string, options: RunLockOptions | undefined): Promise<HeldLock>
  limit(attempt: LiveAttempt): FleetLimit
  cache<V>(attempt: LiveAttempt, definition: CacheDefinition<V>): Cache<V>
  shared<T, I>(attempt: LiveAttempt, definition: SharedDefinition<T, I>): SharedHandle<T, I>
  progress(attempt: LiveAttempt, done: number, total: number | undefined, message: string | undefined): void
  steps(attempt: LiveAttempt): RunSteps
  items(attempt: LiveAttempt): Context['items']
  onConfigChange(attempt: LiveAttempt, fn: (config: unknown, version: number) => unknown): () => void
}

type Context = JobContext<ResourceMap, unknown, SinkMap>

/** Loaded on first use, because most handlers need none of these functions. */
const calls = () => import('../../calls/run-calls.ts')

/** The context of a handler. The types of its maps are erased here; the handler sees the types of its spec. */
export class RunContext implements Context {
  readonly runId: number
  readonly jobId: string
  readonly attempt: number
  readonly fence: number
  readonly scheduledTime: Date
  readonly window: Window | undefined
  readonly config: unknown
  readonly input: unknown
  readonly resources: Context['resources']
  readonly sinks: Context['sinks']
  readonly #attempt: LiveAttempt
  readonly #actions: RunActions

  constructor(
    attempt: LiveAttempt,
    config: unknown,
    resources: Readonly<Record<string, unknown>>,
    sinks: Readonly<Record<string, unknown>>,
    actions: RunActions,
  ) {
    const { claim } = attempt
    this.runId = claim.runId
    this.jobId = claim.jobId
    this.attempt = claim.attempt
    this.fence = attempt.items?.fence ?? claim.fence
    this.scheduledTime = claim.tick ?? claim.runAt
    this.window = claim.window
    this.config = config
    this.input = attempt.input
    this.resources = resources as Context['resources']
    this.sinks = sinks as Context['sinks']
    this.#attempt = attempt
    this.#actions = actions
  }

  get signal(): AbortSignal {
    return this.#attempt.signal
  }

  get log(): Logger {
    return this.#attempt.log
  }

  // Returns a function that does not use `this`, because handlers destructure their context.
  get commit(): Context['commit'] {
    return (fn) => this.#actions.commit(this.#attempt, fn)
  }

  get step(): Context['step'] {
    return (name, fn, options) => this.#actions.steps(this.#attempt).step(name, fn, options)
  }

  get stepMap(): Context['stepMap'] {
    return <T, U>(
      name: string,
      items: Iterable<T> | AsyncIterable<T>,
      fn: (item: T, index: number, step: StepScope) => Promise<U> | U,
      options?: StepMapOptions<T>,
    ) => this.#actions.steps(this.#attempt).stepMap(name, items, fn, options) as Promise<PromiseSettledResult<U>[]>
  }

  get until(): Context['until'] {
    return ((name, fn, options) => this.#actions.steps(this.#attempt).until(name, fn, options)) as Context['until']
  }

  get items(): Context['items'] {
    return this.#actions.items(this.#attempt)
  }

  get lock(): Context['lock'] {
    return (name, options) => this.#actions.lock(this.#attempt, name, options)
  }

  get limit(): FleetLimit {
    return this.#actions.limit(this.#attempt)
  }

  get shared(): Context['shared'] {
    return (definition) => this.#actions.shared(this.#attempt, definition)
  }

  get cache(): Context['cache'] {
    return (definition) => this.#actions.cache(this.#attempt, definition)
  }

  get progress(): Context['progress'] {
    return (done, total, message) => this.#actions.progress(this.#attempt, done, total, message)
  }

  get onConfigChange(): Context['onConfigChange'] {
    return (fn) => this.#actions.onConfigChange(this.#attempt, fn)
  }

  get map(): Context['map'] {
    return async (items, fn, options = {}) => (await calls()).mapItems(items, fn, options, this.signal)
  }

  get async(): RunCalls {
    return lazyCalls(async () => (await calls()).runCalls(this.signal))
  }
}

function lazyCalls(load: () => Promise<RunCalls>): RunCalls {
  return {
    retry: async (...args) => (await load()).retry(...args),
    timeout: async (...args) => (await load()).timeout(...args),
    first: async (...args) => (await load()).first(...args),
    completed: async function* (...args) {
      yield* (await load()).completed(...args)
    },
    batches: async function* (...args) {
      yield* (await load()).batches(...args)
    },
  }
}
