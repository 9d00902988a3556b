import { crc32 } from 'node:zlib'
import { headline } from '../../errors-read.ts'
import { toError } from '../../errors.ts'
import { forbidsRetry } from '../../run/retry-errors.ts'
import { isStale } from './outage.ts'
import { mayBeOfRow, refusedRows } from './refused-rows.ts'

/** Some rows of a batch. */
export interface Part {
  readonly rows: readonly unknown[]
  /** A string to add to the batch's key; it is the same in every attempt. Empty for the whole batch. */
  readonly suffix: string
}

/** A refused row, and its position in the batch. */
export interface Aside {
  readonly row: unknown
  readonly place: number
  readonly reason: string
}

export interface SiftRules {
  readonly send: (part: Part) => Promise<void>
  readonly isOutage: (error: Error) => boolean
  /**
   * Counts a row that will be stored as a dead letter.
   *
   * @throws if there are too many
   */
  readonly admit: (aside: Aside) => void
}

/**
 * Delivers a batch without the rows that its target refuses. If an error does not name these rows, halves the batch until they are found.
 *
 * @returns the refused rows
 * @throws an error that is not about rows
 */
export async function sift(rows: readonly unknown[], { send, isOutage, admit }: SiftRules): Promise<Aside[]> {
  const asides: Aside[] = []
  const putAside = (place: number, reason: string): void => {
    const aside = { row: rows[place], place, reason }
    admit(aside)
    asides.push(aside)
  }
  // The parts that have not been delivered yet. They are handled depth first, so that rows are delivered in their order.
  const waiting: (readonly number[])[] = [rows.map((_row, place) => place)]
  for (let places = waiting.pop(); places; places = waiting.pop()) {
    try {
      await send({ rows: places.map((place) => rows[place]), suffix: suffixOf(places, rows.length) })
    } catch (thrown) {
      const error = toError(thrown)
      const named = refusedRows(error, places.length)
      if (named) {
        for (const [index, reason] of named) putAside(places[index] ?? index, reason)
        const others = places.filter((_place, index) => !named.has(index))
        if (others.length > 0) waiting.push(others)
        continue
      }
      if (isStale(error) || isOutage(error) || !(mayBeOfRow(error) || forbidsRetry(error))) throw error
      const [only] = places
      if (places.length === 1 && only !== undefined) {
        putAside(only, headline(error))
        continue
      }
      const half = Math.ceil(places.length / 2)
      waiting.push(places.slice(half), places.slice(0, half))
    }
  }
  return asides
}

function suffixOf(places: readonly number[], all: number): string {
  const [first = 0] = places
  const last = places.at(-1) ?? 0
  if (places.length === all) return ''
  if (last - first === places.length - 1) return `/${first}-${last}`
  return `/${first}-${last}:${crc32(places.join()).toString(16)}`
}
