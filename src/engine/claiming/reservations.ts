/** Slots reserved for runs that are being stored as claimed by this node. */
export class Reservations {
  #count = 0
  #onNone: (() => void) | undefined

  get count(): number {
    return this.#count
  }

  take(): void {
    this.#count += 1
  }

  release(): void {
    this.#count -= 1
    if (this.#count === 0) this.#onNone?.()
  }

  /** Resolves when no reservation is left. */
  async none(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => (this.#onNone = resolve))
  }
}
