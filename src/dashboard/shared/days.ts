export const DAY_MS = 86_400_000

/** Returns the UTC day that begins at an instant. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

export function dayAfter(day: string): string {
  return dayOf(Date.parse(day) + DAY_MS)
}
