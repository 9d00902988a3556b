/** The maximum number of rows in one read, because an SQLite statement blocks the event loop while it runs. */
const PAGE = 1_000

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
