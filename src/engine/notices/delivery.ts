import { within } from '../../calls/timeout.ts'
import { messageOf } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import type { Events } from '../../events.ts'
import type { Settings } from '../../settings/settings.ts'
import { redactText } from '../../run/redact.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'
import type { Destination, DueMessage, MessageStore } from '../../store/notices/message-store.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import { NOTICE_KINDS } from '../../notice/notice.ts'
import type { Leader } from '../node/leader.ts'
import type { Outlets } from './outlets.ts'

export interface DeliveryParts extends LoopServiceParts {
  readonly store: MessageStore
  readonly leader: Pick<Leader, 'isLeader' | 'onLead'>
  readonly outlets: Pick<Outlets, 'find'>
  readonly settings: Pick<Settings['notify'], 'timeoutMs'>
  readonly events: Events
}

/** How often the leader polls for messages. The other nodes poll every `FOLLOWER_LOOK_MS`. */
const LOOK_MS = 5_000
const MIN_LOOK_MS = 50
const FOLLOWER_LOOK_MS = 30_000
/**
 * How long another node leaves messages to the leader. After that, it delivers those that it can, for example to hooks of a job that only
 * its own code has.
 */
const LEFT_MS = 20_000
/** The maximum number of messages that one statement reads. */
const MAX_DUE = 100
const MAX_PAGES = 10
/** After a process has failed to deliver a message, it waits this long, so that others can try. */
const YIELD_MS = 1_000
/** How long to leave out destinations that this process does not know. */
const UNKNOWN_MS = 300_000
const MAX_UNKNOWN = 1_000
/** The maximum number of stored ids of messages that this process has failed to deliver. */
const MAX_FAILED = 10_000
/** The maximum number of channels that are called at the same time. */
const MAX_BUSY = 16
/** How long after the time limit of a call another process may repeat it. */
const MARGIN_MS = 5_000
const FIRST_RETRY_MS = 5_000
const MAX_RETRY_MS = 300_000
/** If a message could not be delivered for this long, there is no further try. */
const GIVE_UP_MS = 86_400_000

/**
 * Delivers stored messages: calls hooks and notifiers. Claims a message before the call and marks it as sent afterwards. If the process
 * dies in between, another process repeats the call. So each message is delivered at least once.
 *
 * Each channel has one call at a time. A channel that hangs, fails or is unknown does not delay the others, however many messages it has.
 * If the leader fails to deliver a message, the next try is open to every process: the fault may be in the leader's network.
 */
export class Delivery extends LoopService {
  readonly #parts: DeliveryParts
  readonly #busy = new Map<string, Promise<void>>()
  readonly #unknown = new Map<string, Destination>()
  #unknownSince = performance.now()
  readonly #failedHere = new Set<number>()
  readonly #stop = new AbortController()

  constructor(parts: DeliveryParts) {
    super('notices', parts)
    this.#parts = parts
    parts.leader.onLead(() => this.wake())
  }

  protected override async step(): Promise<number> {
    const { leader } = this.#parts
    const lookMs = leader.isLeader ? LOOK_MS : FOLLOWER_LOOK_MS
    this.#recallUnknown()
    let nextInMs = Infinity
    for (let page = 0; page < MAX_PAGES && this.#busy.size < MAX_BUSY && !this.#stop.signal.aborted; page++) {
      const due = await this.#parts.store.due(MAX_DUE, this.#leftOut())
      const waits = []
      for (const message of due.messages) waits.push(await this.#consider(message))
      nextInMs = Math.min(nextInMs, leader.isLeader ? due.nextInMs : due.nextRetryInMs, ...waits)
      // If all messages of this page must wait, a further page would contain the same ones.
      if (!due.isFull || waits.every(Number.isFinite)) break
    }
    return Math.min(lookMs, Math.max(nextInMs, MIN_LOOK_MS))
  }

  /**
   * Starts to deliver a message, or postpones it.
   *
   * @returns the number of milliseconds after which this process may deliver the message; `Infinity` if it has begun, or leaves the message
   * for later
   */
  async #consider(message: DueMessage): Promise<number> {
    const { leader, outlets } = this.#parts
    const { id, channel, kind, tries, dueForMs } = message
    if (this.#busy.size >= MAX_BUSY || this.#stop.signal.aborted || this.#busy.has(channel)) return Infinity
    if (!outlets.find(channel, kind)) {
      await this.#leave(message)
      return Infinity
    }
    const waitMs = this.#failedHere.has(id) ? YIELD_MS : leader.isLeader || tries > 0 ? 0 : LEFT_MS
    if (dueForMs < waitMs) return waitMs - dueForMs
    this.#begin(message)
    return Infinity
  }

  /** Leaves a message to a process that knows its channel. If the job or the notifier was removed, there may be no such process. */
  async #leave(message: DueMessage): Promise<void> {
    const { id, channel, kind } = message
    if (isOld(message)) await this.#parts.store.failed(id, `no process knows the channel ${channel}`, undefined)
    else if (this.#unknown.size < MAX_UNKNOWN) this.#unknown.set(`${kind} ${channel}`, { channel, kind })
  }

  /** Checks unknown destinations again: jobs may have been added, or messages may now be too old. */
  #recallUnknown(): void {
    if (performance.now() - this.#unknownSince > UNKNOWN_MS) {
      this.#unknown.clear()
      this.#unknownSince = performance.now()
    }
    for (const [key, { channel, kind }] of this.#unknown)
      if (this.#parts.outlets.find(channel, kind)) this.#unknown.delete(key)
  }

  #leftOut(): Destination[] {
    const busy = [...this.#busy.keys()].flatMap((channel) => NOTICE_KINDS.map((kind) => ({ channel, kind })))
    return [...busy, ...this.#unknown.values()]
  }

  #begin(message: DueMessage): void {
    const { channel } = message
    const delivery = this.#deliver(message)
      .catch((thrown: unknown) =>
        this.#parts.loops.failed({ loop: this.name, thrown, retryInMs: LOOK_MS, failures: 1 }),
      )
      .finally(() => {
        this.#busy.delete(channel)
        this.wake()
      })
    this.#busy.set(channel, delivery)
  }

  async #deliver(message: DueMessage): Promise<void> {
    const { store, outlets, settings, events } = this.#parts
    const { id, channel, kind, notice } = message
    if (!(await store.take(message, settings.timeoutMs + MARGIN_MS))) return
    const deliver = outlets.find(channel, kind)
    const startedAt = performance.now()
    try {
      await within(async (signal) => deliver?.(notice, { signal }), settings.timeoutMs, this.#stop.signal)
    } catch (thrown) {
      await this.#failed(message, toError(thrown))
      return
    }
    this.#failedHere.delete(id)
    await store.sent(id)
    const { jobCount, count } = notice
    const durationMs = performance.now() - startedAt
    events.emit('notice.sent', { noticeId: id, channel, kind, jobCount, count, tries: message.tries + 1, durationMs })
  }

  async #failed(message: DueMessage, error: Error): Promise<void> {
    const { store, events } = this.#parts
    const { id, channel, kind, tries } = message
    if (this.#stop.signal.aborted) return store.failed(id, 'its process stopped', 0)
    const retryInMs = isOld(message) ? undefined : Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(tries, 10))
    if (this.#failedHere.size >= MAX_FAILED) this.#failedHere.clear()
    if (retryInMs === undefined) this.#failedHere.delete(id)
    else this.#failedHere.add(id)
    await store.failed(id, redactText(messageOf(error)), retryInMs)
    events.emit('notice.failed', { noticeId: id, channel, kind, tries: tries + 1, error, retryInMs })
  }

  /** Aborts the calls in progress. Another process repeats them. */
  protected override async onStop(why?: StopReason): Promise<void> {
    this.#stop.abort(new PikoError('STOPPED', 'the app is stopping; another process repeats this call'))
    await super.onStop(why)
    await Promise.all(this.#busy.values())
  }
}

/** Whether no process could deliver the message for a day, by the database's clock. */
function isOld({ createdAt, dueAt, dueForMs }: DueMessage): boolean {
  return dueAt.getTime() + dueForMs - createdAt.getTime() >= GIVE_UP_MS
}
