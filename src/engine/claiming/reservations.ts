/** The slots that are reserved for new runs. The runs are stored as already claimed by this node. */
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

  async none(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => (this.#onNone = resolve))
  }
}
