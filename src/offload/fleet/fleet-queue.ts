import { basename } from 'node:path'
import { onAbort } from '../../signals/on-abort.ts'
import { isOffloadFile } from '../file.ts'
import type { OffloadPool } from '../offload-pool.ts'
import type { CallOptions, WantedCall } from '../pool/offload-call.ts'
import { WaitingCalls } from '../pool/waiting-calls.ts'
import { isStream } from '../streams/item-source.ts'
import { type FleetAnswer, type FleetCall, type FleetNodes, fleetNodes } from './fleet.ts'
import { moduleHash } from './module-hash.ts'
import { encoded } from './travel.ts'

interface Waiting {
  readonly id: number
  readonly priority: number
  /** The job of the call's run, or an empty text. Jobs take turns. */
  readonly job: string
  readonly wanted: WantedCall
  readonly options: CallOptions
  readonly signal: AbortSignal | undefined
  readonly call: FleetCall
  readonly settle: { readonly resolve: (value: unknown) => void; readonly reject: (reason: unknown) => void }
  /** How many nodes were lost while they executed this call. */
  losses: number
  isOnlyHere: boolean
}

/** How often the other nodes are asked for free threads while calls are waiting, in milliseconds. */
const LOOK_MS = 50
/** The maximum size of arguments for another node. Calls with larger ones run in this process. */
const MAX_ARGS_BYTES = 16 * 2 ** 20
/** If this many nodes were lost during a call, the call may be the cause. Then it runs in this process. */
const MAX_LOSSES = 2
/**
 * For this long, a module is not sent again to a node that has refused it, and a function whose result could not be sent runs only here.
 */
const REFUSED_MS = 60_000
const MAX_REMEMBERED = 10_000

let lastId = 0

/** Calls that may run on any node. Each runs where a thread is free first, in this process or on another node. */
export class FleetQueue {
  readonly #pool: OffloadPool
  readonly #waiting = new WaitingCalls<Waiting>()
  /** Calls that another node has not completed. They are older than the other waiting calls, and come first. */
  readonly #again = new WaitingCalls<Waiting>()
  /** How many calls of each job are running, here or on other nodes. */
  readonly #runningOf = new Map<string, number>()
  /** How many threads each other node has free: the number in its last answer, minus the threads that this node has used since. */
  readonly #free = new Map<string, number>()
  /** When a node refused a module, by node and hash. */
  readonly #refusedAt = new Map<string, number>()
  /** When another node could not return the result of a function, by module and name. */
  readonly #keptAt = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #isLooking = false

  constructor(pool: OffloadPool) {
    this.#pool = pool
  }

  /** Adds a call. Returns its result, or for a generator a `ChunkReader`. */
  add(wanted: WantedCall, options: CallOptions, signal: AbortSignal | undefined): Promise<unknown> {
    if (!fleetNodes() || (this.#size === 0 && this.#isFreeHere)) return this.#here(wanted, options, signal)
    const call = this.#travelling(wanted, options)
    if (!call) return this.#here(wanted, options, signal)
    if (signal?.aborted) return Promise.reject(signal.reason as Error)
    const { promise, ...settle } = Promise.withResolvers<unknown>()
    const { priority, scope } = options
    const order = { id: ++lastId, priority, job: scope?.run.jobId ?? '' }
    const waiting: Waiting = { ...order, wanted, options, signal, call, settle, losses: 0, isOnlyHere: false }
    this.#waiting.add(waiting)
    const unwatch = this.#watch(waiting)
    this.#pump()
    // The listener is removed when the call ends, because the run's signal may exist much longer.
    return promise.finally(unwatch)
  }

  get #size(): number {
    return this.#waiting.size + this.#again.size
  }

  get #isFreeHere(): boolean {
    const { running, waiting, size } = this.#pool.stats
    return running + waiting < size
  }

  /** Returns the call in the form for another node; undefined if it must run here. */
  #travelling(
    { module, name, args }: WantedCall,
    { transfer, priority, timeoutMs }: CallOptions,
  ): FleetCall | undefined {
    if (transfer.length > 0 || isRecent(this.#keptAt, `${module} ${name}`)) return undefined
    if (args.some((arg) => isStream(arg) || isOffloadFile(arg))) return undefined
    // If the arguments can't be encoded, the call runs in this process, which also reports the error.
    const bytes = encoded(args, MAX_ARGS_BYTES)
    const hash = bytes && hashOf(module)
    if (!bytes || hash === undefined) return undefined
    const file = basename(new URL(module).pathname)
    return { hash, file, name, args: bytes, priority, timeoutMs: timeoutMs ?? this.#pool.timeoutMs }
  }

  async #here(wanted: WantedCall, options: CallOptions, signal: AbortSignal | undefined): Promise<unknown> {
    const call = this.#pool.call(wanted, options, signal)
    void call.over.then(() => this.#pump())
    return call.result
  }

  /** Ends the wait if the signal aborts. Returns a function that stops watching the signal. */
  #watch(waiting: Waiting): () => void {
    const { signal, settle } = waiting
    if (!signal) return () => {}
    return onAbort(signal, () => {
      this.#waiting.delete(waiting)
      this.#again.delete(waiting)
      settle.reject(signal.reason)
    })
  }

  #pump(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const { waiting, nodes, nodeId } = next
      void this.#counted(waiting, nodes ? this.#there(nodes, nodeId, waiting) : this.#started(waiting))
    }
    if (this.#size === 0) {
      clearTimeout(this.#timer)
      this.#timer = undefined
    } else this.#timer ??= setTimeout(() => void this.#look(), this.#free.size === 0 ? 0 : LOOK_MS)
  }

  /** Takes the next call that may run now, and the node for it. Without a node, it runs in this process. */
  #next():
    | { readonly waiting: Waiting; readonly nodes?: never; readonly nodeId?: never }
    | { readonly waiting: Waiting; readonly nodes: FleetNodes; readonly nodeId: string }
    | undefined {
    if (this.#size === 0) return undefined
    const nodes = fleetNodes()
    const take = (fits?: (waiting: Waiting) => boolean): Waiting | undefined => {
      const running = (job: string): number => this.#runningOf.get(job) ?? 0
      return this.#again.take(running, undefined, fits) ?? this.#waiting.take(running, undefined, fits)
    }
    if (!nodes || this.#isFreeHere) {
      const waiting = take()
      return waiting && { waiting }
    }
    for (const [nodeId, free] of this.#free) {
      if (free <= 0) continue
      const waiting = take((one) => this.#mayRunOn(nodeId, one))
      if (waiting) return { waiting, nodes, nodeId }
      // The node takes none of the waiting calls. They are not examined again before its next answer.
      this.#free.delete(nodeId)
    }
    return undefined
  }

  #mayRunOn(nodeId: string, { call, losses, isOnlyHere }: Waiting): boolean {
    return !isOnlyHere && losses < MAX_LOSSES && !isRecent(this.#refusedAt, `${nodeId} ${call.hash}`)
  }

  async #counted({ job }: Waiting, running: Promise<void>): Promise<void> {
    this.#runningOf.set(job, (this.#runningOf.get(job) ?? 0) + 1)
    await running
    const left = (this.#runningOf.get(job) ?? 0) - 1
    if (left > 0) this.#runningOf.set(job, left)
    else this.#runningOf.delete(job)
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    clearTimeout(this.#timer)
    const answered = new Set<string>()
    try {
      // Each answer is used immediately, because a node that is suspended answers late or never.
      await fleetNodes()?.look(this.#pool.name, (id, free) => {
        answered.add(id)
        this.#free.set(id, free)
        this.#pump()
      })
    } catch {
      // No other node can be asked, so the calls continue in this process.
    }
    for (const id of this.#free.keys()) if (!answered.has(id)) this.#free.delete(id)
    this.#isLooking = false
    this.#timer = this.#size > 0 ? setTimeout(() => void this.#look(), LOOK_MS) : undefined
    this.#pump()
  }

  async #started({ wanted, options, signal, settle }: Waiting): Promise<void> {
    await this.#here(wanted, options, signal).then(settle.resolve, settle.reject)
  }

  async #there(nodes: FleetNodes, nodeId: string, waiting: Waiting): Promise<void> {
    this.#addFree(nodeId, -1)
    const { call, settle, signal } = waiting
    const answer = await nodes.run(nodeId, call, signal).catch((): FleetAnswer => ({ kind: 'lost' }))
    if (signal?.aborted) settle.reject(signal.reason)
    else if (answer.kind === 'value') settle.resolve(answer.value)
    else if (answer.kind === 'error') settle.reject(answer.error)
    else this.#retry(nodeId, waiting, answer)
    // The thread that executed the call is free again.
    if (answer.kind === 'value' || answer.kind === 'error') this.#addFree(nodeId, 1)
    // The call no longer counts as running when the next one is chosen.
    queueMicrotask(() => this.#pump())
  }

  #addFree(nodeId: string, change: number): void {
    this.#free.set(nodeId, (this.#free.get(nodeId) ?? 0) + change)
  }

  #retry(nodeId: string, waiting: Waiting, answer: Exclude<FleetAnswer, { kind: 'value' | 'error' }>): void {
    const { call, wanted } = waiting
    switch (answer.kind) {
      case 'kept':
        waiting.isOnlyHere = true
        remember(this.#keptAt, `${wanted.module} ${wanted.name}`)
        break
      case 'refused':
        this.#refuse(nodeId, call, answer.why)
        break
      case 'lost':
        waiting.losses += 1
        this.#free.delete(nodeId)
        break
      case 'busy':
        this.#free.delete(nodeId)
    }
    this.#again.add(waiting)
  }

  #refuse(nodeId: string, { hash, file }: FleetCall, why: string): void {
    // Several calls may be refused at the same time. Only the first refusal is reported.
    if (isRecent(this.#refusedAt, `${nodeId} ${hash}`)) return
    remember(this.#refusedAt, `${nodeId} ${hash}`)
    const message = `node ${nodeId} refuses calls of ${file}: ${why}; other nodes and this one run them`
    process.emitWarning(message, 'PikoOffloadWarning')
  }
}

function isRecent(times: ReadonlyMap<string, number>, key: string): boolean {
  const at = times.get(key)
  return at !== undefined && performance.now() - at < REFUSED_MS
}

function remember(times: Map<string, number>, key: string): void {
  if (times.size >= MAX_REMEMBERED) times.clear()
  times.set(key, performance.now())
}

/** Returns the hash of a module; undefined if the module can't be read. */
function hashOf(module: string): string | undefined {
  try {
    return moduleHash(module)
  } catch {
    return undefined
  }
}

const queues = new Map<OffloadPool, FleetQueue>()

/** Returns the queue of a pool. All handles of the pool share it. */
export function fleetQueueOf(pool: OffloadPool): FleetQueue {
  const queue = queues.get(pool) ?? new FleetQueue(pool)
  queues.set(pool, queue)
  return queue
}
