import { cursorOf, placeOf } from '../../api/cursor.ts'

/** A page of a list whose entries have ids. */
export interface Paged<Item> {
  readonly items: readonly Item[]
  /** The cursor of the next page. */
  readonly next: string | undefined
}

/** Returns the id in the cursor of a list that is ordered by id. @throws PikoError `USAGE` */
export function idIn(cursor: string | undefined): number | undefined {
  return placeOf(cursor, { id: 'number' })?.id
}

export function idCursor(id: number | undefined): string | undefined {
  return id === undefined ? undefined : cursorOf({ id })
}

/** Returns the name in the cursor of a list that is ordered by name. @throws PikoError `USAGE` */
export function nameIn(cursor: string | undefined): string | undefined {
  return placeOf(cursor, { name: 'string' })?.name
}

export function nameCursor(name: string | undefined): string | undefined {
  return name === undefined ? undefined : cursorOf({ name })
}

/** Returns a page of a list that is ordered by id. The list was read with one entry more than the limit. */
export function pageById<Item extends { readonly id: number }>(found: readonly Item[], limit: number): Paged<Item> {
  const items = found.slice(0, limit)
  return { items, next: found.length > limit ? idCursor(items.at(-1)?.id) : undefined }
}

/**
 * Returns the options with which one page of a list ordered by name is read. They ask for one entry more than the page has, to see whether
 * there is a next page.
 * @throws PikoError `USAGE`
 */
export function afterName({ cursor, limit }: { readonly cursor?: string; readonly limit: number }): {
  readonly limit: number
  readonly after?: string
} {
  const after = nameIn(cursor)
  return { limit: limit + 1, ...(after !== undefined && { after }) }
}

/** Returns a page of a list that is ordered by name and was read with {@link afterName}. */
export function pageByName<Item>(
  found: readonly Item[],
  nameOf: (item: Item) => string,
  { limit }: { readonly limit: number },
): Paged<Item> {
  const items = found.slice(0, limit)
  const last = items.at(-1)
  return { items, next: found.length > limit && last ? nameCursor(nameOf(last)) : undefined }
}

/**
 * Returns a page of a short list that was read as a whole, ordered by a text that is unique in the list. Without `limit`: the whole list.
 * @throws PikoError `USAGE`
 */
export function pageOfAll<Item>(
  all: readonly Item[],
  keyOf: (item: Item) => string,
  { cursor, limit = Infinity }: { readonly cursor?: string; readonly limit?: number },
): Paged<Item> {
  const after = nameIn(cursor)
  const rest = after === undefined ? all : all.filter((item) => keyOf(item) > after)
  const sorted = rest.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  return pageByName(sorted, keyOf, { limit })
}

/** Returns the instant in the cursor of a list that is ordered by start. @throws PikoError `USAGE` */
export function startIn(cursor: string | undefined): string | undefined {
  const start = placeOf(cursor, { start: 'number' })?.start
  return start === undefined ? undefined : new Date(Math.min(start, MAX_INSTANT_MS)).toISOString()
}

/**
 * Returns a page of a list that is ordered by start. The list was read with one entry more than the limit, and the next page begins with
 * that entry.
 */
export function pageByStart<Item extends { readonly start: Date }>(found: readonly Item[], limit: number): Paged<Item> {
  const [next] = found.slice(limit)
  return { items: found.slice(0, limit), next: next && cursorOf({ start: next.start.getTime() }) }
}

const MAX_INSTANT_MS = Date.UTC(9999, 0)
