/** Totals over batches. A batch is a set of runs that this process claimed together, or whose ends it stored together. */
export interface BatchFigures {
  batches: number
  runs: number
  seconds: number
}

/** The connections of a pool to the database. */
export interface PoolFigures {
  readonly size: number
  readonly open: number
  readonly idle: number
  /** How many calls are waiting for a connection. */
  readonly waiting: number
}

/** Waits for a batch and counts it, unless it fails. */
export async function countedBatch<T>(
  figures: BatchFigures,
  batch: Promise<T>,
  runsOf: (result: T) => number,
): Promise<T> {
  const startedAt = performance.now()
  const result = await batch
  figures.batches += 1
  figures.runs += runsOf(result)
  figures.seconds += (performance.now() - startedAt) / 1_000
  return result
}
