import { traced } from '../tracing/tracing.ts'
import type { Transferable } from 'node:worker_threads'
import { isError } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import { anAbortSignal, expecting, isList, oneOf, type OptionChecks, problemsText, readOptions } from '../options.ts'
import { type Duration, durationMs } from '../time/duration.ts'
import { declareFleetModule } from './fleet/fleet.ts'
import { fleetQueueOf } from './fleet/fleet-queue.ts'
import { ChunkReader } from './streams/chunk-reader.ts'
import { StreamHandle } from './streams/stream-handle.ts'
import { mapCalls, type MapNames, mapReduceCalls, type MapTarget } from './map/map-calls.ts'
import type { OffloadMapOptions } from './map/map-run.ts'
import { moduleFile, moduleUrl } from './module-file.ts'
import { type Movable, type Moved, transferList } from './move.ts'
import { OffloadPool } from './offload-pool.ts'
import { aDuration, aPriority } from './pool/pool-options.ts'
import { defaultPool } from './pools.ts'
import type { Arguments, IsAny, Sendable } from './sendable.ts'
import { callSignal, currentScope, wantRunSignals } from './signal.ts'

export type { OffloadMapOptions } from './map/map-run.ts'

type AnyFunction = (...args: never[]) => unknown

/** Names that a handle can't offer for functions. Its own methods begin with `$`, and JavaScript itself reads the others. */
type Reserved = `$${string}` | 'then' | 'toJSON' | 'constructor' | 'toString' | 'toLocaleString' | 'valueOf'

type Landed<T> = T extends Moved<infer V> ? V : T

/**
 * A stream of items from a thread. The thread produces a few items before the reader asks for them. Leaving the loop ends the generator in
 * the thread.
 */
export type OffloadStream<T> = AsyncIterable<T>

type Streamed = AsyncIterable<unknown> | Iterator<unknown>
type ItemOf<T> = T extends AsyncIterable<infer I> ? I : T extends Iterator<infer I> ? I : never

/** The type of an offloaded function's result: a stream for a generator, otherwise a promise. */
export type Result<R> = [Awaited<R>] extends [never]
  ? Promise<never>
  : IsAny<Awaited<R>> extends true
    ? Promise<Awaited<R>>
    : Awaited<R> extends Streamed
      ? OffloadStream<Sendable<Landed<ItemOf<Awaited<R>>>, 'row'>>
      : Promise<Sendable<Landed<Awaited<R>>, 'result'>>

/** The exported functions of module `M`, which run in another thread. Other exports are left out. */
export type Offloaded<M> = {
  readonly [K in keyof M as M[K] extends AnyFunction ? (K extends Reserved ? never : K) : never]: M[K] extends (
    ...args: infer Args
  ) => infer R
    ? (...args: Arguments<Args>) => Result<R>
    : never
}

export interface OffloadCallOptions {
  /** Aborting this signal ends the call. An abort of the run's own signal also does. */
  readonly signal?: AbortSignal
  /** Buffers, or views of buffers, in the arguments. They are moved instead of copied, and are empty on this side afterwards. */
  readonly transfer?: readonly Movable[]
  /** Calls with a higher number get a thread first. Default 0. */
  readonly priority?: number
  /** The time limit of this call. Default: the `timeout` of the pool. */
  readonly timeout?: Duration
}

const isPool = expecting('an OffloadPool', (value) => value instanceof OffloadPool)
const CALL_OPTIONS: OptionChecks<OffloadCallOptions> = {
  signal: anAbortSignal,
  transfer: expecting('a list of buffers, views of them or ports', isList),
  priority: aPriority,
  timeout: aDuration,
}

function checked<T extends object>(call: string, given: T, checks: OptionChecks<T>): Partial<T> {
  const { options, problems } = readOptions<T>(given, checks, `{ ${Object.keys(checks)[0] ?? ''}: … }`)
  if (problems.length === 0) return options
  throw new PikoError('OFFLOAD_FAILED', problemsText(call, problems), { details: { problems } })
}

const NOTHING: readonly Transferable[] = []

/** The handle that {@link offload} returns: the functions of the module, and methods that begin with `$`. */
export type OffloadHandle<M> = Offloaded<M> & {
  /** Returns the same functions with these options: `parsing.$with({ transfer: [bytes] }).parse(bytes)`. */
  readonly $with: (options: OffloadCallOptions) => Offloaded<M>
  /**
   * Calls a function of one parameter for every item, in batches on all threads of the pool, and waits for all results. The results are in
   * the order of the items. An error of the function becomes a rejected result. If an item causes its thread to end, only that item fails:
   * the function is called again for items whose results were lost with the thread. The returned promise rejects if a signal aborts or the
   * source of the items fails.
   *
   * @example
   * const hashes = await parsing.$map('digest', files, { timeout: '10s' })
   */
  readonly $map: <K extends NameOf<M>>(
    name: K,
    items: Iterable<ItemFor<M, K>> | AsyncIterable<ItemFor<M, K>>,
    options?: OffloadMapOptions,
  ) => Promise<PromiseSettledResult<ValueOf<M, K>>[]>
  /**
   * Calls `map` for every item, as `$map` does, and combines the results with `reduce`, in the order of the items. `reduce` runs in threads
   * and must be associative. Resolves with undefined if there are no items, and rejects with the first error.
   *
   * @example
   * const total = await parsing.$mapReduce({ map: 'count', reduce: 'merge' }, files)
   */
  readonly $mapReduce: <K extends NameOf<M>>(
    names: { readonly map: K; readonly reduce: ReducerOf<M, ValueOf<M, K>> },
    items: Iterable<ItemFor<M, K>> | AsyncIterable<ItemFor<M, K>>,
    options?: OffloadMapOptions,
  ) => Promise<ValueOf<M, K> | undefined>
}

type NameOf<M> = keyof Offloaded<M> & string
type ItemFor<M, K extends keyof M> = M[K] extends (item: infer I, ...rest: infer _) => unknown ? I : never
type ValueOf<M, K extends keyof M> = M[K] extends (...args: never[]) => infer R ? Landed<Awaited<R>> : never
type ReducerOf<M, V> = {
  [K in NameOf<M>]: M[K] extends (a: V, b: V) => V | Promise<V> ? K : never
}[NameOf<M>]

export interface OffloadHandleOptions {
  /** The pool whose threads execute the calls. Default: the pool of the process. */
  readonly pool?: OffloadPool
  /** Where calls may run. `'here'`: in this process. `'fleet'`: also on other nodes. Default `'here'`. */
  readonly on?: 'here' | 'fleet'
}

/**
 * Runs the functions of a module in worker threads, so parsing and heavy computation don't block the event loop.
 *
 * Nothing is loaded before the first call. A TypeScript module needs no flag; in a build that has only `parse.js`, `./parse.ts` finds it.
 * Structured clone copies arguments and results: plain data, typed arrays, dates, maps and sets. It copies no functions, and class
 * instances lose their class. Leave an argument unchanged until the call has ended. Calls wait in order while all threads are busy; await
 * them, or limit them with `ctx.map`.
 *
 * A generator's result is a stream: `for await (const row of parsing.rows(file('rows.csv')))`. The thread is a little ahead of the reader,
 * and waits for it. Leaving the loop ends the generator and runs its `finally`.
 *
 * Inside a run, calls end with the run: its signal applies automatically. A thread keeps a module's state between calls.
 *
 * With `on: 'fleet'`, calls that find all threads busy also run on other nodes that declare the same module with `on: 'fleet'` and have
 * free threads. If such a node is lost, the call runs again, in this process or elsewhere, so the functions must be safe to repeat. Calls
 * with `transfer`, streams or files always run in this process, as do generators, `$map` and `$mapReduce`.
 *
 * @example
 * const parsing = offload<typeof import('./parse.ts')>(new URL('./parse.ts', import.meta.url))
 * const rows = await parsing.parse(bytes)
 *
 * @param options.pool a separate pool; default: the process's, see `configureOffload`
 * @throws PikoError `OFFLOAD_FAILED`: immediately if `module` is not a `file:` URL; from a call if the module or the export is missing.
 * `OFFLOAD_COPY`, `OFFLOAD_TIMEOUT`, `OFFLOAD_MEMORY`, `OFFLOAD_EXIT`, `OFFLOAD_CRASHED` from a call that failed for this reason, `STOPPED`
 * if the app is stopping its threads. An error of the function reaches the caller with its name, message, code and causes.
 */
export function offload<M>(module: URL | string, options: OffloadHandleOptions = {}): OffloadHandle<M> {
  const url = moduleUrl(module)
  const { pool = defaultPool, on = 'here' } = checked('offload', options, { pool: isPool, on: oneOf('here', 'fleet') })
  if (on === 'fleet') declareFleetModule(url, pool)
  wantRunSignals()
  let file: string | undefined
  const callable = (given: OffloadCallOptions) => {
    const timeoutMs = given.timeout === undefined ? undefined : durationMs(given.timeout)
    const { priority = 0 } = given
    return (name: string) =>
      function offloaded(...args: unknown[]): Promise<unknown> {
        const site = callSite(offloaded)
        const called = async (): Promise<unknown> => {
          try {
            file ??= moduleFile(url).href
            const transfer = given.transfer ? transferList(given.transfer) : NOTHING
            const wanted = { module: file, name, args }
            const call = { transfer, scope: currentScope(), priority, timeoutMs }
            const signal = callSignal(given.signal)
            const result = await (on === 'fleet'
              ? fleetQueueOf(pool).add(wanted, call, signal)
              : pool.call(wanted, call, signal).result)
            return result instanceof ChunkReader ? new StreamHandle(result) : result
          } catch (error) {
            throw withSite(error, file ?? url.href, site)
          }
        }
        return streamable(
          traced(
            `offload ${name}`,
            () => ({ 'piko.offload.module': url.pathname, 'piko.offload.pool': pool.name }),
            called,
          ),
          name,
        )
      }
  }

  const $with = (given: OffloadCallOptions): unknown => functions({}, callable(checked('$with', given, CALL_OPTIONS)))
  const target: MapTarget = { pool, module: () => (file ??= moduleFile(url).href) }
  const $map = (name: string, items: Iterable<unknown>, given: OffloadMapOptions = {}): unknown =>
    mapCalls(target, name, items, given)
  const $mapReduce = (names: MapNames, items: Iterable<unknown>, given: OffloadMapOptions = {}): unknown =>
    mapReduceCalls(target, names, items, given)
  return functions({ $with, $map, $mapReduce }, callable({})) as OffloadHandle<M>
}

/** Returns a promise that can also be iterated, in case the function is a generator. */
function streamable(result: Promise<unknown>, name: string): Promise<unknown> {
  return Object.assign(result, {
    [Symbol.asyncIterator](): AsyncIterator<unknown> {
      const reader = result.then((value) => {
        if (value instanceof StreamHandle) return value
        throw new PikoError('OFFLOAD_FAILED', `${name}() returned no stream; await its result instead of iterating it`)
      })
      // `next` throws this error. If no code iterates, it must not become an unhandled rejection.
      reader.catch(() => {})
      let open: StreamHandle | undefined
      return {
        next: () => open?.next() ?? reader.then((opened) => (open = opened).next()),
        return: () => reader.then((opened) => opened.return()),
      }
    },
  })
}

/**
 * Returns an object in which every name is a function, created on first use. Properties of `target`, and those that every object has, are
 * not replaced. The names that `await` and `JSON.stringify` look for are missing.
 */
function functions(target: object, make: (name: string) => unknown): unknown {
  const made = new Map<string, unknown>()
  return new Proxy(target, {
    get(_, key) {
      if (typeof key === 'symbol' || key in target) return Reflect.get(target, key) as unknown
      if (key === 'then' || key === 'toJSON') return undefined
      if (!made.has(key)) made.set(key, make(key))
      return made.get(key)
    },
  })
}

/**
 * Records where a call was made. This costs a successful call almost nothing, because Node creates the text of a stack only when it is
 * read.
 */
function callSite(above: AnyFunction): { readonly stack?: string } {
  const site = {}
  Error.captureStackTrace(site, above)
  return site
}

/** Adds the caller's stack frames to an error, because the stack from a thread ends at the thread's entry. */
function withSite(thrown: unknown, file: string, site: { readonly stack?: string }): unknown {
  if (!isError(thrown) || thrown.stack === undefined) return thrown
  const frames = site.stack?.split('\n').slice(1) ?? []
  thrown.stack = [thrown.stack, `    at offload (${file})`, ...frames].join('\n')
  return thrown
}
