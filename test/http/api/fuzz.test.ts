import { expect, it } from 'vitest'
import { apiFixture } from '../../support/api-fixture.ts'
import { fuzzApi } from '../../support/api-fuzz.ts'
import { describeSqlite } from '../../support/databases.ts'

describeSqlite((store) => {
  it('answers odd requests without an error of its own, a stack or SQL', async () => {
    await store.empty()
    const { url } = await apiFixture(store.options)
    const seed = Number(process.env['PIKO_FUZZ_SEED'] ?? 20_260_101)
    console.info(`PIKO_FUZZ_SEED=${seed}`)
    const count = Number(process.env['PIKO_FUZZ_REQUESTS'] ?? 400)
    expect(await fuzzApi(url, { seed, count })).toEqual([])
  })
})
