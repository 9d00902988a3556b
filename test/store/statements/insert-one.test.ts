import { expect, it } from 'vitest'
import { type Cell, NOW } from '../../../src/store/statements/bulk-insert.ts'
import { InsertOne } from '../../../src/store/statements/insert-one.ts'
import { describeSqlite } from '../../support/databases.ts'

type Name = 'a' | 'b' | 'c' | 'd'

describeSqlite((store) => {
  it('stores every combination of values, nulls, defaults and the time, and returns the id', async () => {
    const { db, dialect, sql } = await store.open()
    await sql.exec("CREATE TABLE one_row (id INTEGER PRIMARY KEY, a TEXT, b TEXT DEFAULT 'usual', c INTEGER, d TEXT)")
    const insert = new InsertOne<Name>('one_row', ['a', 'b', 'c', 'd'], { b: 'usual' })
    const choices: Readonly<Record<Name, readonly Cell[]>> = {
      ...{ a: [null, 'x', NOW], b: [null, 'usual', "it's"], c: [null, 0, 7], d: [null, '', NOW] },
    }
    let id = 0
    for (const a of choices.a)
      for (const b of choices.b)
        for (const c of choices.c)
          for (const d of choices.d) {
            const row: Readonly<Record<Name, Cell>> = { a, b, c, d }
            const statement = insert.statement(dialect, (name) => row[name])
            if (!statement) throw new Error('no statement')
            expect((await db.executeQuery(statement)).rows).toEqual([{ id: ++id }])
            const time: unknown = expect.stringMatching(/^\d{4}-\d\d-\d\dT/)
            const stored = (cell: Cell): unknown => (cell === NOW ? time : cell)
            expect(await sql.query('SELECT a, b, c, d FROM one_row WHERE id = ?', [id])).toEqual([
              { a: stored(a), b: stored(b), c: stored(c), d: stored(d) },
            ])
          }
    expect(id).toBe(81)
    await sql.exec('DROP TABLE one_row')
  })

  it('is left to others if a test replaces the clock', async () => {
    const { dialect } = await store.open({ clock: { now: () => 0 } })
    expect(new InsertOne('t', ['a'], {}).statement(dialect, () => 1)).toBeUndefined()
  })
})
