import { isWhole } from '../../errors-read.ts'
import { fromJson } from '../../json/json.ts'
import { crashedError } from '../../run/attempt.ts'

/** The error class for deaths of an item's nodes. These deaths do not use up tries of other classes. */
export const LOST_CLASS = 'lost'

const MAX_DELAY_MS = 60_000

/** What follows from the death of an item's node. */
export interface Loss {
  /** The tries including this death, as JSON. */
  readonly tries: string
  /** Whether an earlier node has died while it executed this item. */
  readonly isRepeated: boolean
  /** Returns how long the next try is delayed: 0 after the first death, otherwise a new random delay at each call. */
  readonly delayMs: () => number
  /** The error of the dead item; undefined: the item is queued again. */
  readonly error: string | undefined
}

/**
 * Decides what follows from a death.
 *
 * @param limit the number of deaths after which the item is dead
 */
export function lossOf(tries: string | null, limit: number): Loss {
  const given = fromJson(tries)
  const known = typeof given === 'object' && given !== null ? (given as Readonly<Record<string, unknown>>) : {}
  const before = known[LOST_CLASS]
  const deaths = (isWhole(before) ? before : 0) + 1
  return {
    tries: JSON.stringify({ ...known, [LOST_CLASS]: deaths }),
    isRepeated: deaths > 1,
    delayMs: () =>
      deaths > 1 ? Math.round(Math.random() * Math.min(MAX_DELAY_MS, 1_000 * 2 ** Math.min(deaths, 10))) : 0,
    error: deaths < limit ? undefined : JSON.stringify(crashedError(deaths)),
  }
}
