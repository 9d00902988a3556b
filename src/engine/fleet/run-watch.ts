/**
 * Called when a log line, the progress or the end of a run was stored.
 *
 * @param isSettled whether the attempt has ended and all its log lines are stored
 */
export type OnNews = (isSettled: boolean) => void

/** Records who watches runs of this node. Log lines and progress of a watched run are stored sooner. */
export class RunWatch {
  readonly #watchers = new Map<number, Set<OnNews>>()
  /** Called when someone begins to watch a run, so that its earlier log lines and progress are also stored. */
  onAdded: (() => void) | undefined

  get size(): number {
    return this.#watchers.size
  }

  has(runId: number): boolean {
    return this.#watchers.has(runId)
  }

  /** Watches a run. @returns a function that stops watching */
  add(runId: number, onNews: OnNews): () => void {
    const watchers = this.#watchers.get(runId) ?? new Set()
    this.#watchers.set(runId, watchers.add(onNews))
    this.onAdded?.()
    return () => {
      watchers.delete(onNews)
      if (watchers.size === 0 && this.#watchers.get(runId) === watchers) this.#watchers.delete(runId)
    }
  }

  tell(runIds: Iterable<number>, isSettled = false): void {
    if (this.#watchers.size === 0) return
    for (const runId of new Set(runIds)) for (const onNews of [...(this.#watchers.get(runId) ?? [])]) onNews(isSettled)
  }
}
