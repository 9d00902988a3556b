// Part of the thread of heartbeats.ts: only modules whose types can be stripped.
import { write } from 'node:fs'
import { BEATS, DEBUGGED, type HeartbeatMemory } from './heartbeat-memory.ts'

/** What becomes of a process whose event loop is blocked. */
export interface BlockPolicy {
  /** A block that lasts this long costs the lease; 0: none does. */
  readonly maxMs: number
  /** A further wait, after which the process is ended; undefined: it never is. */
  readonly endAfterMs: number | undefined
}

const LOOKS = 20
const MIN_LOOK_MS = 10
const MAX_LOOK_MS = 1_000
/** A handler of the process's own may have taken the first signal. */
const KILL_AFTER_MS = 2_000

/** How often the loop beats, and how often its beat is looked for. */
export function lookMs({ maxMs }: BlockPolicy): number {
  return Math.min(MAX_LOOK_MS, Math.max(MIN_LOOK_MS, maxMs / LOOKS))
}

/**
 * Watches the beats of the main thread's event loop. Time is counted in this thread's own looks: a process that was suspended, with its
 * machine or by a signal, has not been blocked meanwhile.
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

  /** @param name of the node, for messages */
  constructor(name: string, memory: HeartbeatMemory, policy: BlockPolicy) {
    this.#name = name
    this.#memory = memory
    this.#policy = policy
    this.#beats = Atomics.load(memory, BEATS)
    this.#lookMs = lookMs(policy)
    if (policy.maxMs > 0) this.#timer = setInterval(() => this.#look(), this.#lookMs)
  }

  /** Aborts when the lease is to be given up. */
  get given(): AbortSignal {
    return this.#given.signal
  }

  /** Nothing more is asked of it, once the event loop has turned. */
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
    // The node goes on under a new id, with a watch of its own.
    if (this.#isLeft || this.#given.signal.aborted) this.close()
  }

  #giveUp(): void {
    const { endAfterMs } = this.#policy
    const next =
      endAfterMs === undefined
        ? 'the process is left as it is'
        : `the process is ended in ${seconds(endAfterMs)} unless the event loop turns again`
    this.#say(
      `the event loop has been blocked for ${seconds(this.#policy.maxMs)} ([piko] max_block); node ${this.#name} gives its lease up; ${next}`,
    )
    this.#given.abort()
  }

  #end(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    this.#say('the event loop is still blocked; the process ends by SIGABRT ([piko] end_when_blocked)')
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), KILL_AFTER_MS)
    // After the text, which is written by another thread: a pipe that nobody reads does not hold this one up.
    setTimeout(() => process.kill(process.pid, 'SIGABRT'), this.#lookMs)
  }

  #say(text: string): void {
    // Nobody is left to be told of an error here.
    write(2, `piko: ${text}\n`, () => undefined)
  }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`
}
