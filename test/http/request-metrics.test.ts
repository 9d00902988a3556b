import { fastify } from 'fastify'
import { expect, it, onTestFinished } from 'vitest'
import { HttpService } from '../../src/http/http-service.ts'
import { pikoRoutes } from '../../src/http/piko-routes.ts'
import { makeApp } from '../support/app.ts'
import { describeSqlite } from '../support/databases.ts'

describeSqlite((fixture) => {
  it('counts answered requests by pattern, never by path, also below a prefix of another server', async () => {
    const app = makeApp(fixture.options, [], { settings: { http: { port: 0 } } })
    app.http.route({ method: 'GET', path: '/shop/:id', handler: () => 'a shop' })
    const service = app.addService(new HttpService(app, app.settings.http), { first: true })
    await app.start()
    const own = fastify()
    onTestFinished(() => own.close())
    await own.register(pikoRoutes, { app, prefix: '/piko' })
    own.get('/theirs', () => 'not ours')
    const url = service.url ?? ''
    for (const path of ['/healthz', '/shop/1', '/shop/2', '/api/v1/runs/1', '/api/v1/runs/2', '/none/1', '/none/2'])
      await (await fetch(`${url}${path}`)).text()
    await (await fetch(`${url}/none`, { method: 'PROPFIND' })).text()
    for (const path of ['/piko/healthz', '/piko/api/v1/runs/3', '/theirs']) await own.inject(path)
    const { body } = await app.metrics()
    expect(body.match(/^piko_http_request_total\{.*/gm)?.sort()).toEqual([
      'piko_http_request_total{method="GET",route="/api/v1/runs/:runId",status="404"} 3',
      'piko_http_request_total{method="GET",route="/healthz",status="200"} 2',
      'piko_http_request_total{method="GET",route="/shop/:id",status="200"} 2',
      'piko_http_request_total{method="GET",route="none",status="404"} 2',
      'piko_http_request_total{method="other",route="none",status="404"} 1',
    ])
    expect(body).toContain('piko_http_request_seconds_count{route="/shop/:id"} 2')
  })
})
