import { beforeEach, expect, it } from 'vitest'
import { webhook } from '../../../src/notify/webhook.ts'
import { eventually, startApp, testSettings } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'
import { hookReceiver } from '../../support/hook-receiver.ts'
import { WorkerProcess } from '../../support/worker-process.ts'

const settingsOf = (quiet: string) => ({
  piko: { lease: '2s', poll_interval: '100ms' },
  notify: { quiet, interval: '0s', timeout: '1s' },
})

describeEachStore((fixture) => {
  beforeEach(() => fixture.empty())

  const another = (url: string) =>
    startApp(fixture.options, [], { notifiers: [webhook({ url })], settings: settingsOf('100ms') })

  it('a node that dies between a failure and its notice leaves the notice to another', async () => {
    const { url, received } = await hookReceiver()
    const settings = testSettings(fixture.options, settingsOf('1h'))
    const node = new WorkerProcess({ settings, url }, 'engine/noticed')
    await node.told('failed')
    await node.kill()
    expect(received).toEqual([])
    await another(url)
    await eventually(() => expect(received).toHaveLength(1))
    expect(received[0]?.json).toMatchObject({
      kind: 'failure',
      count: 1,
      jobs: [{ jobId: 'broken', error: 'Error: no shop' }],
    })
  })

  it('a node that dies while it tells makes another repeat it with the same id', async () => {
    const { url, received } = await hookReceiver(0)
    const settings = testSettings(fixture.options, settingsOf('100ms'))
    const node = new WorkerProcess({ settings, url }, 'engine/noticed')
    await eventually(() => expect(received).toHaveLength(1))
    await node.kill()
    const app = await another(url)
    await eventually(() => expect(received).toHaveLength(2))
    expect(received[1]?.headers['webhook-id']).toBe(received[0]?.headers['webhook-id'])
    await eventually(async () => expect(await app.notify.list()).toMatchObject([{ state: 'sent', tries: 2 }]))
  })
})
