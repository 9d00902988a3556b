import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { eventually } from '../../support/app.ts'
import { apiFixture } from '../../support/api-fixture.ts'
import { fuzzApi } from '../../support/api-fuzz.ts'
import { rawFuzz } from '../../support/raw-fuzz.ts'
import { describeEachStore, describeSqlite } from '../../support/databases.ts'

const asked = process.env['PIKO_TEST_FUZZ_REQUESTS']
/** The number of requests that are made together, because some have large bodies. */
const PART = 400
const MAX_GROWTH_MB = 40

/** A person who asks for more requests wants both stores. */
const describeStores = asked === undefined ? describeSqlite : describeEachStore

describeStores((store) => {
  it('answers odd requests without an error of its own, a stack or SQL', async () => {
    await store.empty()
    const { app, url } = await apiFixture(store.options)
    const seed = Number(process.env['PIKO_TEST_FUZZ_SEED'] ?? 20_260_101)
    console.info(`PIKO_TEST_FUZZ_SEED=${seed}`)
    const count = Number(asked ?? 300)
    // The first requests fill caches.
    expect(await fuzzApi(url, { seed: seed + 1, count: 100 })).toEqual([])
    const before = heldMb()
    for (let sent = 0; sent < count; sent += PART)
      expect(await fuzzApi(url, { seed: seed + 2 + sent, count: Math.min(PART, count - sent) })).toEqual([])
    const { wrong, half } = await rawFuzz(Number(new URL(url).port))
    expect(wrong).toEqual([])
    expect((await fetch(`${url}/status`)).status).toBe(200)
    for (const socket of half) socket.destroy()
    // Sockets that have just ended give back their buffers a little later.
    await eventually(() => expect(heldMb() - before).toBeLessThan(MAX_GROWTH_MB))
    await app.stop()
  })
})

function heldMb(): number {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  gc()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 1_048_576
}
