/** How many items are in each state, and other sums over the items. */
export interface ItemCounts {
  readonly total: number
  readonly queued: number
  readonly running: number
  readonly done: number
  readonly dead: number
  readonly skipped: number
  readonly cancelled: number
  /** How many added items already existed. */
  readonly duplicates: number
  /** How many items a limit has left out. */
  readonly left: number
  /** The bytes that `ctx.countBytes` has counted. */
  readonly bytes: number
  /** The total duration of the attempts in which items ended, in milliseconds. */
  readonly ms: number
}

type Count = { readonly kind: string; readonly what: string; readonly amount: number }

const NONE: ItemCounts = {
  ...{ total: 0, queued: 0, running: 0, done: 0, dead: 0, skipped: 0, cancelled: 0 },
  ...{ duplicates: 0, left: 0, bytes: 0, ms: 0 },
}

/** Calculates sums of stored counts: for all items, by kind of item, and by the reason why items were skipped or left out. Pure. */
export function summedItems(counts: readonly Count[], running: number) {
  const reasons: Record<string, number> = {}
  const byKind = new Map<string, ItemCounts>()
  for (const { kind, what, amount } of counts) {
    const [name = '', reason] = what.split(':', 2)
    if (reason !== undefined) reasons[reason] = (reasons[reason] ?? 0) + amount
    const key = name === 'stored' ? 'total' : name === 'duplicate' ? 'duplicates' : name
    const known = byKind.get(kind) ?? NONE
    if (key in known) byKind.set(kind, { ...known, [key]: known[key as keyof ItemCounts] + amount })
  }
  const all = [...byKind.values()].reduce((sum, one) => plus(sum, one), NONE)
  const open = openOf(all)
  const kinds = Object.fromEntries(
    [...byKind].map(([kind, { queued: _queued, running: _running, ...own }]) => [kind, { ...own, open: openOf(own) }]),
  )
  return { all: { ...all, running: Math.min(running, open), queued: Math.max(0, open - running) }, kinds, reasons }
}

function openOf({
  total,
  done,
  dead,
  skipped,
  cancelled,
}: Pick<ItemCounts, 'total' | 'done' | 'dead' | 'skipped' | 'cancelled'>): number {
  return Math.max(0, total - done - dead - skipped - cancelled)
}

function plus(one: ItemCounts, other: ItemCounts): ItemCounts {
  const entries = Object.entries(one) as [keyof ItemCounts, number][]
  return Object.fromEntries(entries.map(([key, value]) => [key, value + other[key]])) as unknown as ItemCounts
}
