/** Shows a reader whether its key was written or deleted while the reader waited. */
export interface Guard {
  readonly isOvertaken: boolean
}

/** The reads in progress, by key. If a key changes during a read, the reader must not keep the value. */
export class Guards {
  readonly #guards = new Map<string, Set<{ isOvertaken: boolean }>>()

  begin(key: string): Guard {
    const guard = { isOvertaken: false }
    const guards = this.#guards.get(key) ?? new Set()
    this.#guards.set(key, guards.add(guard))
    return guard
  }

  end(key: string, guard: Guard): void {
    const guards = this.#guards.get(key)
    if (guards?.delete(guard) && guards.size === 0) this.#guards.delete(key)
  }

  overtake(key: string): void {
    for (const guard of this.#guards.get(key) ?? []) guard.isOvertaken = true
  }

  overtakeAll(prefix: string): void {
    for (const key of this.#guards.keys()) if (key.startsWith(prefix)) this.overtake(key)
  }
}
