import type { NodeLink } from './node-link.ts'
import type { OnNews, RunWatch } from './run-watch.ts'

export interface FleetWatchParts {
  readonly nodeId: () => string
  readonly watch: RunWatch
  readonly link: Pick<NodeLink, 'to'>
}

const LEVEL = 2

/** Watches a run on the node that executes it, which may be another node. */
export class FleetWatch {
  readonly #parts: FleetWatchParts

  constructor(parts: FleetWatchParts) {
    this.#parts = parts
  }

  /**
   * Starts to watch. If there is no link to the node, `onNews` is never called.
   *
   * @returns a function that stops watching
   */
  open(runId: number, nodeId: string, onNews: OnNews): () => void {
    const { nodeId: own, watch } = this.#parts
    if (nodeId === own()) return watch.add(runId, onNews)
    const over = new AbortController()
    // If this fails, the reader gets no news and polls.
    void this.#read(runId, nodeId, onNews, over.signal).catch(() => {})
    return () => over.abort()
  }

  async #read(runId: number, nodeId: string, onNews: OnNews, signal: AbortSignal): Promise<void> {
    const link = await this.#parts.link.to(nodeId)
    if (!link || signal.aborted) return
    for await (const news of link.stream(`/piko/runs/${runId}/watch`, undefined, { level: LEVEL, signal }))
      onNews(news === 'settled')
  }
}
