/** The maximum number of rows in one read, because an SQLite statement blocks the event loop while it runs. */
const PAGE = 1_000

/**
 * Reads on until `limit` rows are sound, so that a page with broken rows is not taken for the last one.
 *
 * @param sound the values of the rows that can be read
 */
export async function soundInPages<Row, Value>(
  limit: number,
  read: (limit: number, last: Row | undefined) => Promise<readonly Row[]>,
  sound: (rows: readonly Row[]) => Promise<readonly Value[]> | readonly Value[],
): Promise<Value[]> {
  const values: Value[] = []
  let last: Row | undefined
  while (values.length < limit) {
    const size = limit - values.length
    const rows = await inPages<Row>(size, (part, before) => read(part, before ?? last))
    for (const value of await sound(rows)) values.push(value)
    if (rows.length < size) break
    last = rows.at(-1)
  }
  return values
}

/** Reads rows page by page. @param read reads the rows that follow the given one, in order; undefined: the first rows */
export async function inPages<Row>(
  limit: number,
  read: (limit: number, last: Row | undefined) => Promise<readonly Row[]>,
): Promise<Row[]> {
  const rows: Row[] = []
  while (rows.length < limit) {
    const size = Math.min(PAGE, limit - rows.length)
    const page = await read(size, rows.at(-1))
    for (const row of page) rows.push(row)
    if (page.length < size) break
  }
  return rows
}
