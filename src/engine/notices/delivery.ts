import { within } from '../../calls/timeout.ts'
import { messageOf } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import type { Events } from '../../events.ts'
import type { Settings } from '../../settings/settings.ts'
import { redactText } from '../../run/redact.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'
import type { MessageStore, DueMessage } from '../../store/notices/message-store.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { Leader } from '../node/leader.ts'
import type { Outlets } from './outlets.ts'

export interface DeliveryParts extends LoopServiceParts {
  readonly store: MessageStore
  readonly leader: Pick<Leader, 'isLeader' | 'onLead'>
  readonly outlets: Pick<Outlets, 'find'>
  readonly settings: Pick<Settings['notify'], 'timeoutMs'>
  readonly events: Events
}

/** The pause between two polls for messages, on the leader and on the other nodes. */
const LOOK_MS = 5_000
const FOLLOWER_LOOK_MS = 30_000
/**
 * Another node delivers only messages that the leader has not delivered for this long, such as those to hooks of a job that only this
 * node's code has.
 */
const LEFT_MS = 20_000
const MAX_DUE = 500
/** How many channels are called at the same time. */
const MAX_BUSY = 16
/** Added to the time limit of a call before another process may repeat it. */
const MARGIN_MS = 5_000
const FIRST_RETRY_MS = 5_000
const MAX_RETRY_MS = 300_000
/** If a message could not be delivered for this long, there are no further tries. */
const GIVE_UP_MS = 86_400_000

/**
 * Delivers stored messages: calls hooks and notifiers. Claims a message before the call and marks it as sent afterwards. If the process
 * dies in between, another one repeats the call, so each message is delivered at least once.
 *
 * One call at a time for each channel. A channel that hangs or fails does not delay the others.
 */
export class Delivery extends LoopService {
  readonly #parts: DeliveryParts
  readonly #busy = new Map<string, Promise<void>>()
  readonly #stop = new AbortController()

  constructor(parts: DeliveryParts) {
    super('notices', parts)
    this.#parts = parts
    parts.leader.onLead(() => this.wake())
  }

  protected override async step(): Promise<number> {
    const { store, leader, outlets } = this.#parts
    const lookMs = leader.isLeader ? LOOK_MS : FOLLOWER_LOOK_MS
    const { messages, nextInMs } = await store.due(MAX_DUE)
    for (const message of messages) {
      if (this.#busy.size >= MAX_BUSY || this.#stop.signal.aborted) break
      if (this.#busy.has(message.channel)) continue
      if (!leader.isLeader && message.dueForMs < LEFT_MS) continue
      if (!outlets.find(message.channel, message.kind)) await this.#leave(message)
      else this.#begin(message)
    }
    return Math.min(lookMs, leader.isLeader ? Math.max(nextInMs, 50) : Infinity)
  }

  /** Leaves a message to a process that knows its channel. There may be none, if a job or a notifier was removed. */
  async #leave(message: DueMessage): Promise<void> {
    const { id, channel } = message
    if (isOld(message)) await this.#parts.store.failed(id, `no process knows the channel ${channel}`, undefined)
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
    await store.failed(id, redactText(messageOf(error)), retryInMs)
    events.emit('notice.failed', { noticeId: id, channel, kind, tries: tries + 1, error, retryInMs })
  }

  /** Ends the calls in progress. Another process repeats them. */
  protected override async onStop(why?: StopReason): Promise<void> {
    this.#stop.abort(new PikoError('STOPPED', 'the app is stopping; another process repeats this call'))
    await super.onStop(why)
    await Promise.all(this.#busy.values())
  }
}

/** Whether no process could deliver it for a day, by the database's clock. */
function isOld({ createdAt, dueAt, dueForMs }: DueMessage): boolean {
  return dueAt.getTime() + dueForMs - createdAt.getTime() >= GIVE_UP_MS
}
