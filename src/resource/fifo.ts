/** An element of a {@link Fifo}. */
export interface Place<T> {
  readonly value: T
  previous: Place<T> | undefined
  next: Place<T> | undefined
}

/** First in, first out; any element can leave early. Every operation except `insert` takes constant time, however long the queue. */
export class Fifo<T> {
  #first: Place<T> | undefined
  #last: Place<T> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The first element. */
  get first(): T | undefined {
    return this.#first?.value
  }

  push(value: T): Place<T> {
    const place: Place<T> = { value, previous: this.#last, next: undefined }
    if (this.#last) this.#last.next = place
    else this.#first = place
    this.#last = place
    this.#size++
    return place
  }

  /** Inserts a value after all elements at the front for which `goesBefore` is true. */
  insert(value: T, goesBefore: (other: T) => boolean): Place<T> {
    // Most values are inserted at the end.
    if (!this.#last || goesBefore(this.#last.value)) return this.push(value)
    let next: Place<T> | undefined = this.#first
    while (next && goesBefore(next.value)) next = next.next
    if (!next) return this.push(value)
    const place: Place<T> = { value, previous: next.previous, next }
    if (next.previous) next.previous.next = place
    else this.#first = place
    next.previous = place
    this.#size++
    return place
  }

  shift(): T | undefined {
    const place = this.#first
    if (place) this.remove(place)
    return place?.value
  }

  /** Removes an element, which must still be in this queue. */
  remove(place: Place<T>): void {
    const { previous, next } = place
    if (previous) previous.next = next
    else this.#first = next
    if (next) next.previous = previous
    else this.#last = previous
    // If a removed element still pointed to a newer one, the newer one and all after it would stay in memory until the next full garbage
    // collection.
    place.previous = place.next = undefined
    this.#size--
  }
}
