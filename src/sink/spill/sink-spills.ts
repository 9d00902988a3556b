import { Closing } from '../../service/closing.ts'
import { redeliver } from '../delivery/redeliver.ts'
import type { SinkEnv } from '../sink.ts'
import type { SpillPolicy } from '../sink-policy.ts'
import type { DurableParts, OwnedSink } from '../sink-target.ts'
import type { DiskSpill } from './disk-spill.ts'
import { Drain } from './drain.ts'
import { Spills } from './spills.ts'

/** How long a stop waits until the number of rows on disk is stored in the database. */
const MAX_NOTES_MS = 500

export interface SinkSpillsParts {
  readonly durable: DurableParts
  readonly env: SinkEnv
  /** Opens a sink, unless it is open already. */
  readonly open: (owned: OwnedSink) => Promise<void>
}

/** The spills of a process. Each has a drain that sends its batches. This module is loaded only if a sink has a spill. */
export class SinkSpills {
  readonly #parts: SinkSpillsParts
  readonly #spills: Spills
  readonly #queues = new Map<string, DiskSpill>()
  readonly #drains: Drain[] = []

  private constructor(parts: SinkSpillsParts, spills: Spills) {
    this.#parts = parts
    this.#spills = spills
  }

  /** Opens the spill folder. @throws PikoError `SINK_FAILED` */
  static async open(parts: SinkSpillsParts): Promise<SinkSpills> {
    const { spillDir, app, observer, journal } = parts.durable
    const { log } = parts.env
    return new SinkSpills(parts, await Spills.open({ dir: spillDir, app: await app(), observer, journal, log }))
  }

  async add(sink: string, policy: SpillPolicy): Promise<void> {
    this.#queues.set(sink, await this.#spills.queueOf(sink, policy))
  }

  queueOf(sink: string): DiskSpill | undefined {
    return this.#queues.get(sink)
  }

  /** Starts to send the batches on disk, including those that are stored later. */
  drain(owned: OwnedSink): void {
    const { spill: queue, policy } = owned
    const { durable, env, open } = this.#parts
    if (!queue || !policy.spill) return
    // The run of these rows has usually ended and can't report refused rows. So they become dead letters, even without `deadLetters`.
    const target = { ...owned, deadLetters: durable.deadLetters }
    this.#drains.push(
      new Drain({
        queue,
        open: () => open(owned),
        deliver: (batch, signal) => redeliver(batch, { target, env, observer: durable.observer, signal }),
        retryEveryMs: policy.spill.retryEveryMs,
      }),
    )
  }

  async adopt(): Promise<void> {
    await this.#spills.adopt()
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#drains.map((drain) => drain.stop()))
    await this.#spills.close()
    const closing = new Closing(MAX_NOTES_MS)
    try {
      await closing.within(() => this.#parts.durable.journal.flushed())
    } finally {
      closing.end()
    }
  }
}
