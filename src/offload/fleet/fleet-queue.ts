import { basename } from 'node:path'
import { serialize } from 'node:v8'
import { onAbort } from '../../signals/on-abort.ts'
import { isOffloadFile } from '../file.ts'
import type { OffloadPool } from '../offload-pool.ts'
import type { CallOptions, WantedCall } from '../pool/offload-call.ts'
import { isStream } from '../streams/item-source.ts'
import { type FleetAnswer, type FleetCall, type FleetNodes, fleetNodes } from './fleet.ts'
import { moduleHash } from './module-hash.ts'

interface Waiting {
  readonly wanted: WantedCall
  readonly options: CallOptions
  readonly signal: AbortSignal | undefined
  readonly call: FleetCall
  readonly settle: { readonly resolve: (value: unknown) => void; readonly reject: (reason: unknown) => void }
  /** How many nodes were lost while they executed this call. */
  losses: number
}

/** How often the other nodes are asked for free threads while calls are waiting, in milliseconds. */
const LOOK_MS = 50
/** The maximum size of arguments for another node. Calls with larger ones run in this process. */
const MAX_ARGS_BYTES = 16 * 2 ** 20
/** If this many nodes were lost during a call, the call may be the cause. Then it runs in this process. */
const MAX_LOSSES = 2
/** How long a node is not asked again for a module that it has refused. */
const REFUSED_MS = 60_000

/** Calls that may run on any node. Each runs where a thread is free first, in this process or on another node. */
export class FleetQueue {
  readonly #pool: OffloadPool
  #waiting: Waiting[] = []
  /** How many free threads each other node has: the number in its last answer, minus the threads that this node has used since. */
  #free = new Map<string, number>()
  /** When a node refused a module, by node and hash. */
  readonly #refusedAt = new Map<string, number>()
  /** Functions that must run in this process, because their result can't be sent from another node. */
  readonly #onlyHere = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #isLooking = false

  constructor(pool: OffloadPool) {
    this.#pool = pool
  }

  /** Adds a call. Returns its result, or for a generator a `ChunkReader`. */
  add(wanted: WantedCall, options: CallOptions, signal: AbortSignal | undefined): Promise<unknown> {
    if (!fleetNodes() || (this.#waiting.length === 0 && this.#isFreeHere)) return this.#here(wanted, options, signal)
    const travelling = this.#travelling(wanted, options)
    if (!travelling) return this.#here(wanted, options, signal)
    if (signal?.aborted) return Promise.reject(signal.reason as Error)
    const { promise, ...settle } = Promise.withResolvers<unknown>()
    const waiting: Waiting = { wanted, options, signal, call: travelling, settle, losses: 0 }
    this.#waiting.push(waiting)
    const unwatch = this.#watch(waiting)
    this.#pump()
    // The listener is removed when the call ends, because the run's signal may exist much longer.
    return promise.finally(unwatch)
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
    if (transfer.length > 0 || this.#onlyHere.has(`${module} ${name}`)) return undefined
    if (args.some((arg) => isStream(arg) || isOffloadFile(arg))) return undefined
    try {
      const bytes = serialize(args)
      if (bytes.length > MAX_ARGS_BYTES) return undefined
      const file = basename(new URL(module).pathname)
      return {
        hash: moduleHash(module),
        file,
        name,
        args: bytes,
        priority,
        timeoutMs: timeoutMs ?? this.#pool.timeoutMs,
      }
    } catch {
      // The arguments can't be encoded. The call then runs in this process, which reports the error.
      return undefined
    }
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
      this.#waiting = this.#waiting.filter((one) => one !== waiting)
      settle.reject(signal.reason)
    })
  }

  #pump(): void {
    while (this.#waiting.length > 0) {
      const nodes = fleetNodes()
      const [first] = this.#waiting as [Waiting]
      const nodeId = nodes && !this.#isFreeHere ? this.#nodeFor(first) : undefined
      if (!this.#isFreeHere && nodeId === undefined && nodes) break
      this.#waiting.shift()
      if (nodes && nodeId !== undefined) void this.#there(nodes, nodeId, first)
      else this.#here(first.wanted, first.options, first.signal).then(first.settle.resolve, first.settle.reject)
    }
    if (this.#waiting.length === 0) {
      clearTimeout(this.#timer)
      this.#timer = undefined
    } else this.#timer ??= setTimeout(() => void this.#look(), this.#free.size === 0 ? 0 : LOOK_MS)
  }

  #nodeFor({ call, losses }: Waiting): string | undefined {
    if (losses >= MAX_LOSSES) return undefined
    for (const [id, free] of this.#free) {
      const refusedAt = this.#refusedAt.get(`${id} ${call.hash}`) ?? -Infinity
      if (free > 0 && performance.now() - refusedAt > REFUSED_MS) return id
    }
    return undefined
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    clearTimeout(this.#timer)
    try {
      const found = await fleetNodes()?.look(this.#pool.name)
      this.#free = new Map((found ?? []).map(({ id, free }) => [id, free]))
    } catch {
      // No other node can be asked, so the calls continue in this process.
      this.#free.clear()
    }
    this.#isLooking = false
    this.#timer = undefined
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => void this.#look(), LOOK_MS)
    this.#pump()
  }

  async #there(nodes: FleetNodes, nodeId: string, waiting: Waiting): Promise<void> {
    this.#free.set(nodeId, (this.#free.get(nodeId) ?? 1) - 1)
    const { call, settle, signal } = waiting
    const answer = await nodes.run(nodeId, call, signal).catch((): FleetAnswer => ({ kind: 'lost' }))
    if (signal?.aborted) return settle.reject(signal.reason)
    switch (answer.kind) {
      case 'value':
        // The thread that executed the call is free again.
        this.#free.set(nodeId, (this.#free.get(nodeId) ?? 0) + 1)
        settle.resolve(answer.value)
        break
      case 'error':
        settle.reject(answer.error)
        break
      default:
        this.#again(nodeId, waiting, answer)
    }
    this.#pump()
  }

  #again(nodeId: string, waiting: Waiting, answer: FleetAnswer): void {
    this.#free.delete(nodeId)
    const { call, wanted } = waiting
    if (answer.kind === 'lost') waiting.losses += 1
    if (answer.kind === 'refused') {
      if (answer.why === STREAM) this.#onlyHere.add(`${wanted.module} ${wanted.name}`)
      else this.#refuse(nodeId, call, answer.why)
    }
    this.#waiting.unshift(waiting)
    if (answer.kind === 'refused' && answer.why === STREAM) waiting.losses = MAX_LOSSES
  }

  #refuse(nodeId: string, { hash, file }: FleetCall, why: string): void {
    const key = `${nodeId} ${hash}`
    const isKnown = performance.now() - (this.#refusedAt.get(key) ?? -Infinity) < REFUSED_MS
    if (this.#refusedAt.size > 10_000) this.#refusedAt.clear()
    this.#refusedAt.set(key, performance.now())
    // Several calls may be refused at the same time. Only the first refusal is reported.
    if (isKnown) return
    const message = `node ${nodeId} refuses calls of ${file}: ${why}; other nodes and this one run them`
    process.emitWarning(message, 'PikoOffloadWarning')
  }
}

/** Why a node refuses a generator. If the node were lost, the stream could not continue on another one. */
export const STREAM = 'its result is a stream'

const queues = new Map<OffloadPool, FleetQueue>()

/** Returns the queue of a pool. All handles of the pool share it. */
export function fleetQueueOf(pool: OffloadPool): FleetQueue {
  const queue = queues.get(pool) ?? new FleetQueue(pool)
  queues.set(pool, queue)
  return queue
}
