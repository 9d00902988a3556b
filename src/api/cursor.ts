import { PikoError } from '../errors.ts'

/** The position of the last entry of a page, by column, such as `{ id: 7 }`. The next page begins after it. */
export type Place = Readonly<Record<string, string | number>>

/** Encodes a position as a cursor, which clients treat as opaque. */
export function cursorOf(place: Place): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url')
}

/**
 * Decodes a cursor.
 *
 * @param shape the columns of the position with their types
 * @throws PikoError `USAGE` if the cursor can't be decoded or does not have this shape
 */
export function placeOf<const Shape extends Readonly<Record<string, 'string' | 'number'>>>(
  cursor: string | undefined,
  shape: Shape,
): { readonly [K in keyof Shape]: Shape[K] extends 'number' ? number : string } | undefined {
  if (cursor === undefined) return undefined
  const place = parsed(cursor)
  const fits =
    typeof place === 'object' &&
    place !== null &&
    Object.keys(place).length === Object.keys(shape).length &&
    Object.entries(shape).every(([key, type]) => {
      const value: unknown = (place as Record<string, unknown>)[key]
      return typeof value === type && (type === 'string' || (Number.isSafeInteger(value) && Number(value) >= 0))
    })
  if (fits) return place as { readonly [K in keyof Shape]: Shape[K] extends 'number' ? number : string }
  throw new PikoError(
    'USAGE',
    `cursor is ${JSON.stringify(cursor)}; expected "next" of a page of the same list, or none for the first page`,
    { details: { cursor } },
  )
}

function parsed(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
}
