import { expect, it } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import { HttpService } from '../../src/http/http-service.ts'
import { defineService } from '../../src/service/define-service.ts'
import { Service } from '../../src/service/service.ts'
import { Supervisor } from '../../src/service/supervisor.ts'
import { makeApp, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { PATIENCE_MS } from '../support/patience.ts'

/** A service that records its starts, with a supervisor and a child below it. */
class Prices extends Service {
  readonly starts: string[]
  readonly #of: string

  constructor(starts: string[], of: string) {
    super({ name: 'Prices' })
    this.starts = starts
    this.#of = of
  }

  protected override onStart(): void {
    this.starts.push(this.#of)
    this.addChild(defineService({ name: 'Feed' }))
  }
}

describeEachStore((store) => {
  const idOf = async (app: Piko): Promise<string> => (await app.services.tree()).nodeId ?? ''

  it('lists and restarts services here and on another node, and the audit says what was before', async () => {
    await store.empty()
    const starts: string[] = []
    const node = (name: string, more: Service[] = []): Promise<Piko> =>
      startApp(store.options, [], { services: [new Prices(starts, name), ...more] })
    const feeds = new Supervisor([defineService({ name: 'eu' }), defineService({ name: 'us' })], { name: 'Feeds' })
    const one = await node('one')
    const two = await node('two', [feeds])
    const asker = await startApp(store.options, [], { execute: false })
    const second = await idOf(two)

    const listed = await asker.services.list({ service: 'Prices' })
    expect(listed).toMatchObject([
      { nodeId: await idOf(one), path: 'Piko/Prices', state: 'running', restarts: 0, canRestart: true },
      { nodeId: second, path: 'Piko/Prices', state: 'running', restarts: 0, canRestart: true },
    ])
    const tree = await asker.services.tree({ on: second })
    expect(tree.nodes.flatMap(({ path, canRestart }) => (canRestart ? [path] : []))).toEqual([
      'Piko/Prices',
      'Piko/Feeds',
      'Piko/Feeds/eu',
      'Piko/Feeds/us',
    ])

    starts.length = 0
    expect(await asker.services.restart('Prices', { on: second })).toMatchObject([
      { nodeId: second, service: 'Piko/Prices', state: 'running', restarts: 1 },
    ])
    expect(starts).toEqual(['two'])
    // Without a node: on every one that has it.
    expect(await one.services.restart('Piko/Prices')).toMatchObject([{ restarts: 1 }, { restarts: 2 }])
    expect(starts.toSorted()).toEqual(['one', 'two', 'two'])
    expect(await one.services.restart('us')).toMatchObject([{ nodeId: second, service: 'Piko/Feeds/us', restarts: 1 }])
    expect(await one.audit.list({ verb: 'services.restart' })).toMatchObject([
      { target: 'service us', outcome: 'done', before: [{ nodeId: second, restarts: 0 }], after: [{ restarts: 1 }] },
      { target: 'service Piko/Prices', before: [{ restarts: 0 }, { restarts: 1 }], after: [{}, { restarts: 2 }] },
      { target: 'service Prices', request: { on: second }, before: [{ restarts: 0 }], after: [{ restarts: 1 }] },
    ])
  })

  it('refuses what it cannot restart, and says what to do', async () => {
    await store.empty()
    const app = await startApp(store.options, [], { services: [new Prices([], 'one')] })
    const refusals = {
      Price: { code: 'SERVICE_UNKNOWN', message: expect.stringContaining('"Price"') as string },
      'Piko/Price': {
        code: 'SERVICE_UNKNOWN',
        message: expect.stringContaining('did you mean "Piko/Prices"?') as string,
      },
      store: { code: 'USAGE', message: expect.stringContaining('is a part of Piko; drain the node') as string },
      Feed: { code: 'USAGE', message: expect.stringContaining('restart "Piko/Prices" instead') as string },
    }
    for (const [name, refusal] of Object.entries(refusals)) {
      await expect(app.services.restart(name)).rejects.toMatchObject(refusal)
      const far = {
        code: 'USAGE',
        message: expect.stringContaining('no live node has the id or the host "far"') as string,
      }
      await expect(app.services.restart(name, { on: 'far' })).rejects.toMatchObject(far)
    }
    await expect(app.services.tree({ on: 'far' })).rejects.toMatchObject({ code: 'USAGE' })
    expect(await app.audit.list({ verb: 'services.restart' })).toEqual([])
  })

  it('says why a service did not start again, while its supervisor tries again', async () => {
    await store.empty()
    let isBroken = false
    const feed = defineService({
      name: 'Feed',
      start: () => {
        if (isBroken) throw new Error('no route to the exchange')
      },
    })
    const app = await startApp(store.options, [], { services: [feed] })
    isBroken = true
    const [restarted] = await app.services.restart('Feed')
    expect(restarted).toMatchObject({ problem: expect.stringContaining('no route to the exchange') as string })
    isBroken = false
    await expect.poll(() => feed.isRunning, { timeout: PATIENCE_MS }).toBe(true)
  })

  it('answers a request to restart the server that carries it, and then restarts it on the same port', async () => {
    await store.empty()
    const app = makeApp(store.options, [])
    const http = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
    await app.start()
    const { url } = http
    const answer = await fetch(`${url}/api/v1/services/http/restart`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
    expect([answer.status, await answer.json()]).toMatchObject([200, { items: [{ state: 'stopping', restarts: 0 }] }])
    await expect.poll(() => [http.isRunning, http.restarts], { timeout: PATIENCE_MS }).toEqual([true, 1])
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })
})
