import { expect, it } from 'vitest'
import type { Piko } from '../../../src/app/piko.ts'
import { HttpService } from '../../../src/http/http-service.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { eventually, Gate, makeApp, startApp } from '../../support/app.ts'
import { describeEachStore, type TestStore } from '../../support/databases.ts'

const hello = defineJob({ id: 'hello' }, () => 'hi')
let gate = new Gate()
const slow = defineJob({ id: 'slow' }, async () => gate.pass())

async function serve(store: TestStore): Promise<{ app: Piko; url: string }> {
  const app = makeApp(store.options, [hello, slow])
  const http = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
  await app.start()
  return { app, url: `${http.url}/api/v1` }
}

/** A page that took too long on a slow machine ends early, and says where the next one begins. */
async function allOf(url: string): Promise<readonly unknown[]> {
  const found: unknown[] = []
  for (let cursor = ''; ;) {
    const page = (await (await fetch(`${url}${cursor}`)).json()) as { items: readonly unknown[]; next?: string }
    found.push(...page.items)
    if (page.next === undefined) return found
    cursor = `&cursor=${page.next}`
  }
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
    const list = await allOf(`${url}/runs?jobId=hello`)
    expect(list).toMatchObject([{ jobId: 'hello', state: 'succeeded' }])
    expect(await allOf(`${url}/runs?limit=100`)).toEqual(list)
  })

  it('lists nodes as a whole, or in pages', async () => {
    const { url } = await serve(store)
    await startApp(store.options, [hello])
    const { items, next } = (await (await fetch(`${url}/nodes`)).json()) as { items: readonly object[]; next?: string }
    expect([items.length, next]).toEqual([2, undefined])
    const idsOf = (found: readonly unknown[]): unknown[] => found.map((node) => (node as { id: string }).id)
    expect(idsOf(await allOf(`${url}/nodes?limit=1`))).toEqual(idsOf(items))
  })

  it('stores a run once for a key in the header or the body, and refuses what it does not know', async () => {
    const { app, url } = await serve(store)
    const ask = async (body: object, headers: Record<string, string> = {}, query = ''): Promise<[number, string]> => {
      const answer = await fetch(`${url}/jobs/hello/runs${query}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      })
      const { id, code } = (await answer.json()) as { readonly id?: number; readonly code?: string }
      if (answer.status >= 400) expect(answer.headers.get('content-type')).toContain('application/problem+json')
      return [answer.status, String(id ?? code)]
    }
    const key = { 'idempotency-key': 'order 17' }
    const [status, id] = await ask({ wait: '10s' }, key)
    expect([status, await ask({}, key), await ask({ idempotencyKey: 'order 17' })]).toEqual([201, [201, id], [201, id]])
    const refused = [
      await ask({ idempotencyKey: 'order 18' }, key),
      await ask({ wait: '61s' }),
      await ask({ waits: true }),
      await ask({}, {}, '?wait=true'),
    ]
    expect(refused).toEqual([
      [400, 'USAGE'],
      [400, 'USAGE'],
      [400, 'REQUEST_INVALID'],
      [400, 'REQUEST_INVALID'],
    ])
    expect((await app.runs.list({ jobId: 'hello', limit: 3 })).filter((run) => run.id >= Number(id))).toHaveLength(1)
  })

  it('continues with a run whose requester has left', async () => {
    const { app, url } = await serve(store)
    gate = new Gate()
    const gone = new AbortController()
    const asked = fetch(`${url}/jobs/slow/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"wait":true}',
      signal: gone.signal,
    })
    await eventually(async () => expect(await app.runs.list({ jobId: 'slow', state: 'running' })).toHaveLength(1))
    gone.abort()
    await expect(asked).rejects.toThrow()
    gate.open()
    await eventually(async () => expect(await app.runs.list({ jobId: 'slow', state: 'succeeded' })).toHaveLength(1))
  })
})
