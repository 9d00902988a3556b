// The thread of the heartbeat loads this file, so this file may import only modules whose types Node can strip.
import { write } from 'node:fs'
import { BEATS, DEBUGGED, type HeartbeatMemory } from './heartbeat-memory.ts'

/** What happens to a process whose event loop is blocked. */
export interface BlockPolicy {
  /** After a block of this length, the node gives up its lease. 0: never. */
  readonly maxMs: number
  /** If the event loop is still blocked after this additional time, the process is ended. Undefined: never. */
  readonly endAfterMs: number | undefined
}

const LOOKS = 20
const MIN_LOOK_MS = 10
const MAX_LOOK_MS = 1_000
/** How long to wait before SIGKILL, because the process may have a handler for SIGABRT. */
const KILL_AFTER_MS = 2_000

/** Returns the interval in milliseconds at which the event loop reports that it runs, and at which the thread checks this. */
export function lookMs({ maxMs }: BlockPolicy): number {
  return Math.min(MAX_LOOK_MS, Math.max(MIN_LOOK_MS, maxMs / LOOKS))
}

/**
 * Watches whether the event loop of the main thread is still running. It adds up the times between its own checks, each up to a limit. So a
 * suspended process is not mistaken for a blocked one.
 */
export class BlockWatch {
  readonly #name: string
  readonly #memory: HeartbeatMemory
  readonly #policy: BlockPolicy
  readonly #given = new AbortController()
  readonly #timer: NodeJS.Timeout | undefined
  readonly #lookMs: number
  #beats: bigint
  #lookedAt = performance.now()
  #stillMs = 0
  #isEnding = false
  #isLeft = false

  /** @param name the node's name, for messages */
  constructor(name: string, memory: HeartbeatMemory, policy: BlockPolicy) {
    this.#name = name
    this.#memory = memory
    this.#policy = policy
    this.#beats = Atomics.load(memory, BEATS)
    this.#lookMs = lookMs(policy)
    if (policy.maxMs > 0) this.#timer = setInterval(() => this.#look(), this.#lookMs)
  }

  /** Aborts when the node must give up its lease because its event loop is blocked. */
  get given(): AbortSignal {
    return this.#given.signal
  }

  /** Makes the watch end as soon as the event loop runs again. */
  leave(): void {
    this.#isLeft = true
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const now = performance.now()
    const passed = Math.min(now - this.#lookedAt, 2 * this.#lookMs)
    this.#lookedAt = now
    const beats = Atomics.load(this.#memory, BEATS)
    if (beats !== this.#beats || Atomics.load(this.#memory, DEBUGGED) !== 0n) return this.#turned(beats)
    this.#stillMs += passed
    const { maxMs, endAfterMs } = this.#policy
    if (this.#stillMs >= maxMs && !this.#given.signal.aborted) this.#giveUp()
    if (endAfterMs !== undefined && this.#stillMs >= maxMs + endAfterMs) this.#end()
  }

  #turned(beats: bigint): void {
    this.#beats = beats
    this.#stillMs = 0
    // When the event loop runs again, the node registers under a new id, which has its own watch.
    if (this.#isLeft || this.#given.signal.aborted) this.close()
  }

  #giveUp(): void {
    const { endAfterMs } = this.#policy
    const next =
      endAfterMs === undefined
        ? 'the process continues'
        : `the process will be ended in ${seconds(endAfterMs)} unless the event loop turns again`
    this.#say(
      `the event loop has been blocked for ${seconds(this.#policy.maxMs)} ([piko] max_block); node ${this.#name} gives up its lease; ${next}`,
    )
    this.#given.abort()
  }

  #end(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    this.#say('the event loop is still blocked; the process ends itself with SIGABRT ([piko] end_when_blocked)')
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), KILL_AFTER_MS)
    // The delay gives Node's file thread time to write the text. This thread does not write it itself, because a pipe that nobody reads
    // would block it.
    setTimeout(() => process.kill(process.pid, 'SIGABRT'), this.#lookMs)
  }

  #say(text: string): void {
    // Errors are ignored, because nothing could handle them here.
    write(2, `piko: ${text}\n`, () => undefined)
  }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`
}
