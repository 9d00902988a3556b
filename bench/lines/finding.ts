/** What a check expected, and what it saw. */
export interface Finding {
  readonly what: string
  readonly expected: string
  readonly seen: string
  readonly isRight: boolean
}

export function equal(what: string, seen: unknown, expected: unknown): Finding {
  const [shown, wanted] = [shownOf(seen), shownOf(expected)]
  return { what, expected: wanted, seen: shown, isRight: shown === wanted }
}

export function atMost(what: string, seen: number, most: number): Finding {
  return { what, expected: `at most ${shownOf(most)}`, seen: shownOf(seen), isRight: seen <= most }
}

export function atLeast(what: string, seen: number, least: number): Finding {
  return { what, expected: `at least ${shownOf(least)}`, seen: shownOf(seen), isRight: seen >= least }
}

function shownOf(value: unknown): string {
  if (typeof value === 'string') return value
  return typeof value === 'number' ? String(Math.round(value * 1_000) / 1_000) : JSON.stringify(value)
}
