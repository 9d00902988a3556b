import { expect, it } from 'vitest'
import { reusedStatement } from '../../../src/store/statements/reused-statement.ts'
import { describeEachStore } from '../../support/databases.ts'

describeEachStore((store) => {
  it('is built once, and executed with the values of each call', async () => {
    const { db, dialect } = await store.open()
    let built = 0
    const sum = reusedStatement(['one', 'other'], (kysely, _dialect, { one, other }) => {
      built++
      return kysely.selectNoFrom((eb) => [eb.val(one).as('one'), eb.val('same').as('same'), eb.val(other).as('other')])
    })
    for (const [one, other] of [
      ['a', 'b'],
      ['b', 'a'],
      ['same', "it's"],
    ])
      expect((await db.executeQuery(sum(db, dialect, { one, other }))).rows).toEqual([{ one, same: 'same', other }])
    expect(built).toBe(1)
  })

  it('is built anew with the time of a replaced clock', async () => {
    let now = Date.UTC(2026, 0, 1)
    const { db, dialect } = await store.open({ clock: { now: () => now } })
    const time = reusedStatement([], (kysely, own) => kysely.selectNoFrom(own.now().as('now')))
    const read = async (): Promise<number> => {
      const { rows } = await db.executeQuery<{ now: Date | string }>(time(db, dialect, {}))
      return dialect.date(rows[0]?.now as Date | string).getTime()
    }
    expect(await read()).toBe(now)
    now += 1_000
    expect(await read()).toBe(now)
  })
})
