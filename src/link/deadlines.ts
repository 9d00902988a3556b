import { Fifo, type Place } from '../resource/fifo.ts'

/** Something with a time limit. */
export interface Deadline {
  readonly atMs: number
  readonly expired: () => void
  readonly queue: Queue
  /** The place of this deadline in the queue; undefined when it has expired or was cancelled. */
  place: Place<Deadline> | undefined
}

interface Queue {
  readonly ms: number
  readonly waiting: Fifo<Deadline>
  timer: NodeJS.Timeout
}

/** A timer may fire early, but by less than this. */
const EARLY_MS = 1
/** An empty queue keeps its timer unless there are more queues than this, because the next call probably has the same duration. */
const MAX_IDLE = 16

/**
 * The deadlines of many calls, with few timers: deadlines of the same duration share one. A separate timer for each call would take a tenth
 * of the call's time.
 */
export class Deadlines {
  readonly #queues = new Map<number, Queue>()

  /** Calls `expired` after this time, unless the returned deadline is cancelled first. */
  add(ms: number, expired: () => void): Deadline {
    const queue = this.#queues.get(ms) ?? this.#open(ms)
    if (queue.waiting.size === 0) queue.timer.ref()
    const deadline: Deadline = { atMs: performance.now() + ms, expired, queue, place: undefined }
    deadline.place = queue.waiting.push(deadline)
    return deadline
  }

  cancel(deadline: Deadline): void {
    const { queue, place } = deadline
    if (!place) return
    deadline.place = undefined
    queue.waiting.remove(place)
    if (queue.waiting.size > 0) return
    // The timer must not keep an idle process alive.
    queue.timer.unref()
    if (this.#queues.size > MAX_IDLE) this.#close(queue)
  }

  #open(ms: number): Queue {
    const queue: Queue = { ms, waiting: new Fifo(), timer: setTimeout(() => this.#expire(queue), ms) }
    this.#queues.set(ms, queue)
    return queue
  }

  #close(queue: Queue): void {
    clearTimeout(queue.timer)
    if (this.#queues.get(queue.ms) === queue) this.#queues.delete(queue.ms)
  }

  #expire(queue: Queue): void {
    const { waiting } = queue
    for (let first = waiting.first; first && first.atMs <= performance.now() + EARLY_MS; first = waiting.first) {
      waiting.shift()
      first.place = undefined
      first.expired()
    }
    const { first } = waiting
    if (first) queue.timer = setTimeout(() => this.#expire(queue), Math.max(1, first.atMs - performance.now()))
    else this.#close(queue)
  }
}
