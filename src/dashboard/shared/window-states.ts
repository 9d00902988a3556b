/** The states that a cell may show, the most important first. A cell with many windows shows the first of these that it contains. */
export const WINDOW_STATES = [
  'failed',
  'running',
  'stale',
  'waiting',
  'queued',
  'pending',
  'cancelled',
  'skipped',
  'succeeded',
] as const

export type Counts = Readonly<Record<string, number>>

/** Returns the state that a cell shows. Undefined: the cell has no window. */
export function worstOf(counts: Counts): string | undefined {
  return WINDOW_STATES.find((state) => (counts[state] ?? 0) > 0)
}

/** Formats counts in words, such as `23 succeeded, 1 failed`. */
export function countsText(counts: Counts): string {
  const words = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`)
  return words.length === 0 ? 'no window' : words.join(', ')
}
