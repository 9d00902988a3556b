import { headline } from '../errors-read.ts'
import { PikoError, toError } from '../errors.ts'

/** A row that can't be read: somebody has edited it by hand. It stays as it is, and whoever reads leaves it out. */
export class BrokenRow extends PikoError {
  readonly id: number

  /** @param key of the row, such as `id = 17` */
  constructor(table: string, key: string, columns: string, cause: unknown, id: number) {
    super(
      'ROW_BROKEN',
      `the row of ${table} with ${key} can't be read and is left out: ${headline(cause)}; correct ${columns}: UPDATE ${table} SET <column> = '2026-01-31T12:00:00.000Z' WHERE ${key}`,
      { cause: toError(cause), details: { table, key } },
    )
    this.id = id
  }
}

/** Reads every row that can be read; the others go to `broken`. For the slow path: after reading all of them has failed. */
export function readEach<T extends { readonly id: number }, R>(
  table: string,
  columns: string,
  rows: readonly T[],
  read: (row: T) => R,
): { readonly read: readonly R[]; readonly broken: readonly BrokenRow[] } {
  const broken: BrokenRow[] = []
  const done = rows.flatMap((row) => {
    try {
      return [read(row)]
    } catch (thrown) {
      broken.push(new BrokenRow(table, `id = ${row.id}`, columns, thrown, row.id))
      return []
    }
  })
  return { read: done, broken }
}
