import { expect, it } from 'vitest'
import type { Piko } from '../../../src/app/piko.ts'
import { HttpService } from '../../../src/http/http-service.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { makeApp } from '../../support/app.ts'
import { describeEachStore, type TestStore } from '../../support/databases.ts'

const hello = defineJob({ id: 'hello' }, () => 'hi')

async function serve(store: TestStore): Promise<{ app: Piko; url: string }> {
  const app = makeApp(store.options, [hello])
  const http = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
  await app.start()
  return { app, url: `${http.url}/api/v1` }
}

describeEachStore((store) => {
  it('starts a run, waits for its end and lists it', async () => {
    const { url } = await serve(store)
    const response = await fetch(`${url}/jobs/hello/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ wait: true }),
    })
    const run: unknown = await response.json()
    expect({ status: response.status, run }).toMatchObject({ status: 201, run: { state: 'succeeded', output: 'hi' } })
    const list: unknown = await (await fetch(`${url}/runs?jobId=hello`)).json()
    expect(list).toMatchObject({ items: [{ jobId: 'hello', state: 'succeeded' }] })
    const all: unknown = await (await fetch(`${url}/runs`)).json()
    expect(all).toEqual(list)
  })
})
