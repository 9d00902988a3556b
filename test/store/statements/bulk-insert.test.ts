import { expect, it } from 'vitest'
import { bulkInsert, type Cell, NOW } from '../../../src/store/statements/bulk-insert.ts'
import { describeSqlite } from '../../support/databases.ts'

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as unknown

describeSqlite((store) => {
  it('stores rows in their order, whichever columns have one value, different values, nulls and the time', async () => {
    const { db, dialect, sql } = await store.open()
    await sql.exec('CREATE TABLE many_rows (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, b INTEGER, c TEXT, d TEXT)')
    const count = 1_000
    const all = (cell: Cell): Cell[] => Array.from({ length: count }, () => cell)
    const each = (cell: (index: number) => Cell): Cell[] => Array.from({ length: count }, (_, index) => cell(index))
    const names = each((index) => `name ${index}`)
    const choices: readonly (readonly Cell[])[] = [
      ...[all(NOW), all(null), all('same'), all(7), names],
      ...[each((index) => (index % 2 === 0 ? null : `${index}`)), each((index) => (index % 3 === 0 ? NOW : '2025'))],
    ]
    for (const c of choices) {
      for (const d of choices) {
        const columns = new Map([
          ['a', names],
          ['b', each((index) => index)],
          ['c', c],
          ['d', d],
        ])
        await sql.exec('DELETE FROM many_rows')
        const { rows } = await db.executeQuery<{ id: number }>(
          bulkInsert(dialect, 'many_rows', columns, ' RETURNING id'),
        )
        const stored = await sql.query<{ id: number }>('SELECT id, a, b, c, d FROM many_rows ORDER BY id')
        expect(rows.map(({ id }) => id)).toEqual(stored.map(({ id }) => id))
        // SQLite stores a number in a column of text with its fraction.
        const expected = (cell: Cell | undefined): unknown => (cell === NOW ? TIME : cell === 7 ? '7.0' : cell)
        expect(stored).toEqual(
          stored.map(({ id }, index) => ({
            id,
            a: names[index],
            b: index,
            c: expected(c[index]),
            d: expected(d[index]),
          })),
        )
      }
    }
    await sql.exec('DROP TABLE many_rows')
  })

  it('computes the time once for all rows', async () => {
    const { db, dialect, sql } = await store.open()
    await sql.exec('CREATE TABLE times (a INTEGER, at TEXT)')
    const columns = new Map<string, readonly Cell[]>([
      ['a', [1, 2, 3]],
      ['at', [NOW, NOW, NOW]],
    ])
    const query = bulkInsert(dialect, 'times', columns)
    expect(query.sql.match(/strftime/g)).toHaveLength(1)
    await db.executeQuery(query)
    // Without a bound value, the rows are part of the text.
    await db.executeQuery(
      bulkInsert(
        dialect,
        'times',
        new Map([
          ['a', [null, null]],
          ['at', [NOW, NOW]],
        ]),
      ),
    )
    expect(await sql.query('SELECT a, at FROM times')).toEqual([1, 2, 3, null, null].map((a) => ({ a, at: TIME })))
    await sql.exec('DROP TABLE times')
  })

  it.each([
    ['the time of the database', undefined, TIME],
    ['the time of a test', { now: () => Date.UTC(2025, 0, 1) }, '2025-01-01T00:00:00.000Z'],
  ])('replaces rows that exist, with %s', async (_, clock, at) => {
    const { db, dialect, sql } = await store.open(clock && { clock })
    await sql.exec('CREATE TABLE few_rows (a TEXT PRIMARY KEY, b INTEGER, at TEXT)')
    for (const b of [1, 2]) {
      const columns = new Map<string, readonly Cell[]>([
        ['a', ['x', 'y']],
        ['b', [b, b + 1]],
        ['at', [NOW, NOW]],
      ])
      await db.executeQuery(bulkInsert(dialect, 'few_rows', columns, ' ON CONFLICT (a) DO UPDATE SET b = excluded.b'))
    }
    expect(await sql.query('SELECT a, b, at FROM few_rows ORDER BY a')).toEqual([
      { a: 'x', b: 2, at },
      { a: 'y', b: 3, at },
    ])
    await sql.exec('DROP TABLE few_rows')
  })
})
