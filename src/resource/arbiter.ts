import { toError } from '../errors.ts'
import { onAbort } from '../signals/on-abort.ts'
import { Fifo, type Place } from './fifo.ts'

/** The slots of one resource, and the requests that are waiting for them. */
export class Lane {
  readonly id: number
  readonly size: number
  /** The number of taken slots. */
  active = 0
  /** The number of waiting requests. */
  waiting = 0
  /** While this is false, requests wait even if slots are free. */
  isOpen = true
  readonly #whenIdle: (() => void)[] = []

  /** @param size slots; `Infinity` for no limit */
  constructor(id: number, size: number) {
    this.id = id
    this.size = size
  }

  release(count: number): void {
    if (count > this.active) throw new RangeError(`${count} slots were returned, but only ${this.active} are taken`)
    this.active -= count
    if (this.active > 0) return
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  /** Resolves when no slot is taken. */
  async idle(): Promise<void> {
    if (this.active > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
  }
}

/** The slots that a request wants, all at the same time. */
export type Wants = readonly { readonly lane: Lane; readonly count: number }[]

/** A request's place in the order of arrival. */
export interface Ticket {
  readonly arrival: number
  readonly wants: Wants
}

interface Waiter {
  readonly arrival: number
  readonly grant: () => void
  readonly refuse: (error: Error) => void
}

/** The requests that want the same slots, in the order of arrival. */
class Line {
  readonly wants: Wants
  readonly queue = new Fifo<Waiter>()
  /** The lanes with a limited number of slots. */
  readonly limited: Wants

  constructor(wants: Wants) {
    this.wants = wants
    this.limited = wants.filter(({ lane }) => lane.size !== Infinity)
  }

  get arrival(): number {
    return this.queue.first?.arrival ?? Infinity
  }

  get isOpen(): boolean {
    return this.queue.size > 0 && this.wants.every(({ lane }) => lane.isOpen)
  }
}

/**
 * Grants slots of several resources: all that a request wants, or none. A waiting request holds no slots, so two requests never wait for
 * each other, in whatever order they name their resources.
 *
 * First in, first out: a later request is served before an earlier one only if the earlier one could not use the slot. If requests share a
 * resource, free slots are kept for the earliest, so that none waits forever. Requests for a closed lane are skipped.
 */
export class Arbiter {
  #arrivals = 0
  #waiting = 0
  #refusal: Error | undefined
  readonly #lines = new Map<string, Line>()
  #lanes = 0

  /** Creates a lane. @param size slots; `Infinity` for no limit */
  lane(size: number): Lane {
    return new Lane(this.#lanes++, size)
  }

  /** Returns a ticket with the next place in the order of arrival. */
  ticket(wants: Wants): Ticket {
    return { arrival: this.#arrivals++, wants }
  }

  /**
   * Takes all slots of a ticket. If a ticket returns its slots and takes them again, it keeps its place in the order.
   *
   * @returns undefined if the slots are taken immediately, otherwise a promise that resolves when they are
   * @throws the signal's reason if it aborts first; the request has then left the queue
   */
  take(ticket: Ticket, signal: AbortSignal): Promise<void> | undefined {
    if (signal.aborted) throw toError(signal.reason)
    if (this.#refusal) throw this.#refusal
    const { wants } = ticket
    if (this.#waiting > 0 || !canTake(wants)) return this.#wait(ticket, signal)
    occupy(wants)
    return undefined
  }

  #wait({ arrival, wants }: Ticket, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const key = wants.map(({ lane, count }) => `${lane.id}:${count}`).join()
      const line = this.#lines.get(key) ?? new Line(wants)
      this.#lines.set(key, line)
      const leave = (): void => {
        this.#remove(key, line, place)
        reject(toError(signal.reason))
        // The request that left may have blocked later ones that need fewer slots.
        this.serve()
      }
      const stay = onAbort(signal, leave)
      const settled = (settle: () => void): void => {
        stay()
        this.#remove(key, line, place)
        settle()
      }
      const waiter: Waiter = {
        arrival,
        grant: () => settled(resolve),
        refuse: (error) => settled(() => reject(error)),
      }
      const place = line.queue.insert(waiter, (other) => other.arrival < arrival)
      this.#waiting++
      for (const { lane } of wants) lane.waiting++
      this.serve()
    })
  }

  #remove(key: string, line: Line, place: Place<Waiter>): void {
    line.queue.remove(place)
    this.#waiting--
    for (const { lane } of line.wants) lane.waiting--
    if (line.queue.size === 0) this.#lines.delete(key)
  }

  /** Gives back slots and serves waiting requests. */
  release(lane: Lane, count: number): void {
    lane.release(count)
    this.serve()
  }

  /** Grants all requests that can be granted. Must be called after a lane has opened. */
  serve(): void {
    while (this.#waiting > 0) {
      const line = this.#next()
      if (!line) return
      occupy(line.wants)
      line.queue.first?.grant()
    }
  }

  /** Refuses all waiting and later requests. Slots that are already taken stay taken. */
  refuseAll(error: Error): void {
    this.#refusal = error
    for (const line of [...this.#lines.values()]) while (line.queue.size > 0) line.queue.first?.refuse(error)
  }

  /** Returns the queue of the earliest request whose slots are all free. */
  #next(): Line | undefined {
    const lines = [...this.#lines.values()].filter(({ isOpen }) => isOpen)
    const kept = new Map<Lane, number>()
    const seen = new Set<Lane>()
    for (const line of lines.sort((a, b) => a.arrival - b.arrival)) {
      const { limited } = line
      if (limited.every(({ lane, count }) => lane.active + (kept.get(lane) ?? 0) + count <= lane.size)) return line
      if (!limited.some(({ lane }) => seen.has(lane))) {
        for (const { lane, count } of limited) kept.set(lane, Math.min(count, lane.size - lane.active))
      }
      for (const { lane } of limited) seen.add(lane)
    }
    return undefined
  }
}

function canTake(wants: Wants): boolean {
  return wants.every(({ lane, count }) => lane.isOpen && lane.active + count <= lane.size)
}

function occupy(wants: Wants): void {
  for (const { lane, count } of wants) lane.active += count
}
