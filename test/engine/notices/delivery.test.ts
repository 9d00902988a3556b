import { beforeEach, expect, it } from 'vitest'
import { defineJob } from '../../../src/job/define-job.ts'
import type { Notice, Notifier } from '../../../src/notice/notice.ts'
import { eventually, recordEvents, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

const settings = { notify: { quiet: '100ms', interval: '0s', timeout: '1s' } }
const broken = defineJob({ id: 'broken' }, () => {
  throw new Error('no shop')
})

describeEachStore((fixture) => {
  beforeEach(() => fixture.empty())

  it('delivers past any number of messages to channels that no process knows, or that hang', async () => {
    const told: Notice[] = []
    const notifiers: Notifier[] = [
      { name: 'hangs', send: () => new Promise(() => {}) },
      { name: 'works', send: (notice) => void told.push(notice) },
    ]
    const database = await fixture.open()
    const { dialect } = database
    const due = { kind: 'failure' as const, body: '{}', state: 'due' as const }
    const at = { due_at: dialect.nowPlus(-60_000), created_at: dialect.nowPlus(-60_000) }
    const rows = ['job:gone', 'notifier:gone', 'notifier:hangs'].flatMap((channel) =>
      Array.from({ length: 400 }, () => ({ ...due, ...at, channel })),
    )
    await database.db.insertInto('piko_message').values(rows).execute()
    const app = await startApp(fixture.options, [broken], { notifiers, settings })
    await app.enqueue(broken)
    await eventually(() => expect(told).toMatchObject([{ kind: 'failure', jobs: [{ jobId: 'broken' }] }]))
    expect(await app.notify.list({ state: 'dead' })).toEqual([])
  })

  it('leaves a message that the leader could not deliver to another node', async () => {
    const told: Notice[] = []
    const leader = await startApp(fixture.options, [broken], {
      notifiers: [{ name: 'chat', send: () => new Promise(() => {}) }],
      settings,
    })
    const failures = recordEvents(leader, 'notice.failed')
    await leader.enqueue(broken)
    await eventually(() => expect(failures).toMatchObject([{ tries: 1, retryInMs: 5_000 }]))
    await startApp(fixture.options, [broken], {
      notifiers: [{ name: 'chat', send: (notice) => void told.push(notice) }],
      settings,
    })
    await eventually(() => expect(told).toMatchObject([{ kind: 'failure' }]))
    await eventually(async () => expect(await leader.notify.list()).toMatchObject([{ state: 'sent', tries: 2 }]))
    expect(failures).toHaveLength(1)
  })
})
