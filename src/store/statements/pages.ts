/** The maximum number of rows that one read returns, because an SQLite statement blocks the event loop while it runs. */
const PAGE = 1_000

/**
 * Reads rows page by page.
 *
 * @param read returns the next `limit` rows after the given row, in order; for undefined, the first rows. If it returns fewer rows than
 * `limit`, no more rows follow
 * @param most the maximum number of rows of one read
 */
export function inPages<Row>(
  limit: number,
  read: (limit: number, last: Row | undefined) => Promise<readonly Row[]>,
  most: number = PAGE,
): Promise<Row[]> {
  return soundInPages(limit, read, (rows) => rows, most)
}

/**
 * Like {@link inPages}, but reads on until `limit` rows are readable. Without this, a page with broken rows would look like the last page.
 *
 * @param sound returns the values of the rows that can be read
 * @param most the maximum number of rows of one read
 */
export async function soundInPages<Row, Value>(
  limit: number,
  read: (limit: number, last: Row | undefined) => Promise<readonly Row[]>,
  sound: (rows: readonly Row[]) => Promise<readonly Value[]> | readonly Value[],
  most: number = PAGE,
): Promise<Value[]> {
  const values: Value[] = []
  let last: Row | undefined
  while (values.length < limit) {
    const size = Math.min(most, limit - values.length)
    const rows = await read(size, last)
    for (const value of await sound(rows)) values.push(value)
    if (rows.length < size) break
    last = rows.at(-1)
  }
  return values
}
