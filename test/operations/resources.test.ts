import { beforeEach, expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { defineResource } from '../../src/resource/define-resource.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { eventually, Gate, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'

describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
  })

  it('lists the resources of all live nodes, those of this node as they are now', async () => {
    const gate = new Gate()
    const acquire = async function* () {
      yield 1
    }
    const Db = defineResource({ name: 'db', size: 2, acquire })
    const Api = defineResource({ name: 'api', scope: 'process', open: () => 1 })
    const job = defineJob({ id: 'a', resources: { db: Db, api: Api } }, ({ signal }) => gate.pass(signal))
    const node = await startApp(store.options, [job])
    const reader = await startApp(store.options, [], { execute: false })
    const unused = { error: undefined, renewals: 0, checkFailures: 0, borrowed: 0, waiting: 0, state: 'unopened' }
    const [first] = await node.nodes.list()
    const own = { nodeId: first?.id, host: first?.host }
    expect(await node.resources.list()).toEqual([
      { ...own, ...unused, name: 'db', scope: 'attempt', size: 2 },
      { ...own, ...unused, name: 'api', scope: 'process', size: null },
    ])
    const id = await node.enqueue('a')
    await eventually(async () =>
      expect(await node.resources.list()).toMatchObject([
        { name: 'db', borrowed: 1, state: 'open' },
        { name: 'api', borrowed: 1, state: 'open' },
      ]),
    )
    await eventually(async () =>
      expect(await reader.resources.list()).toMatchObject([
        { ...own, name: 'db', size: 2, borrowed: 1, state: 'open' },
        { ...own, name: 'api', size: null, borrowed: 1 },
      ]),
    )
    gate.open()
    await node.waitFor(id)
    await database.sql.exec("UPDATE piko_node SET resources = '{'")
    expect(await reader.resources.list()).toEqual([])
  })
})
