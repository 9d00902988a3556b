import { seeded } from './random.ts'

/**
 * Changes that people make to the job `changing` while it works. `override`: another schedule at run time. `clear`:
 * back to the code's schedule. `code`: nodes that start from now on have another schedule in their code. `backfill`: of
 * a random range.
 */
export const CHANGE_KINDS = ['override', 'clear', 'code', 'backfill'] as const
export type ChangeKind = (typeof CHANGE_KINDS)[number]

export interface Change {
  readonly kind: ChangeKind
  /** Milliseconds since the start. */
  readonly atMs: number
  /** The interval of the schedule. */
  readonly everyMs: number
  /** Start of the backfill, since the start; below 0 means before it. */
  readonly fromMs: number
  readonly toMs: number
  readonly only: 'missing' | 'all'
  readonly order: 'oldest' | 'newest'
}

/** None divides all others, so windows of two schedules for the same time would overlap. */
export const EVERY_MS = [700, 1_000, 1_500, 2_600]
/** How far a backfill can reach back. */
export const PAST_MS = 90_000
const FIRST_CHANGE_MS = 3_000
/** A different sequence from the faults, whose schedule stays the same for its seed. */
const OWN_NUMBERS = 0x5eed_0001

/** The schedule of changes for a seed. Pure. */
export function planChanges({ seed, lengthMs }: { readonly seed: number; readonly lengthMs: number }): Change[] {
  const random = seeded(seed ^ OWN_NUMBERS)
  const between = (least: number, most: number): number => Math.round(least + (most - least) * random())
  const oneOf = <T>(values: readonly [T, ...T[]]): T => values[Math.floor(random() * values.length)] ?? values[0]
  const changes: Change[] = []
  for (let atMs = FIRST_CHANGE_MS; atMs < lengthMs; atMs += between(1_500, 5_000)) {
    const fromMs = between(-PAST_MS, atMs)
    changes.push({
      kind: oneOf(['override', 'override', 'clear', 'code', 'backfill', 'backfill']),
      atMs,
      everyMs: oneOf(EVERY_MS as [number, ...number[]]),
      fromMs,
      toMs: fromMs + between(5_000, 20_000),
      only: oneOf(['missing', 'all']),
      order: oneOf(['oldest', 'newest']),
    })
  }
  return changes
}
