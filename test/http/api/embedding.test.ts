import { fastify, type FastifyInstance } from 'fastify'
import { expect, it } from 'vitest'
import { HttpService, pikoRoutes } from '../../../src/http/index.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { makeApp, startApp } from '../../support/app.ts'
import { describeSqlite } from '../../support/databases.ts'

const hello = defineJob({ id: 'hello' }, () => 'hi')

describeSqlite((store) => {
  it('mounts its routes on the server of a user, below a prefix', async () => {
    const app = await startApp(store.options, [hello])
    await using server = fastify()
    server.get('/', () => 'mine')
    await server.register(pikoRoutes, { app, prefix: '/piko' })
    expect((await server.inject('/')).body).toBe('mine')
    expect((await server.inject('/piko/healthz')).json()).toEqual({ status: 'ok' })
    expect((await server.inject('/piko/api/v1/jobs/hello')).json()).toMatchObject({ id: 'hello', state: 'active' })
    expect((await server.inject('/piko/api/v1/openapi.json')).json()).toMatchObject({
      servers: [{ url: '/piko/api/v1' }],
    })
    const unknown = await server.inject('/piko/api/v1/nothing')
    expect(unknown.headers['content-type']).toContain('application/problem+json')
    expect(unknown.json()).toMatchObject({ status: 404, code: 'ROUTE_UNKNOWN' })
    expect((await server.inject('/piko/api/v1/docs')).body).toContain('GET /piko/api/v1/runs')
  })

  it('serves routes, middlewares and plugins of a user beside its own', async () => {
    const app = makeApp(store.options, [hello])
    app.http
      .use(({ headers }) => (headers['x-key'] === 'right' ? undefined : new Response('no', { status: 403 })))
      .route({ method: 'POST', path: '/echo/:name', handler: ({ params, body }) => ({ ...params, body }) })
      .route({ method: 'GET', path: '/nothing', handler: () => undefined })
      .register((server: FastifyInstance) => server.get('/plugged', () => 'in'))
    expect(() => app.http.route({ method: 'GET', path: '/api/v1/mine', handler: () => 1 })).toThrow(/not below/)
    const http = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
    await app.start()
    expect(() => app.http.use(() => undefined)).toThrow(/after start/)
    const headers = { 'x-key': 'right', 'content-type': 'application/json' }
    const echo = await fetch(`${http.url}/echo/me`, { method: 'POST', headers, body: '{"a":1}' })
    expect(await echo.json()).toEqual({ name: 'me', body: { a: 1 } })
    expect((await fetch(`${http.url}/nothing`)).status).toBe(403)
    expect((await fetch(`${http.url}/nothing`, { headers: { 'x-key': 'right' } })).status).toBe(204)
    expect(await (await fetch(`${http.url}/plugged`)).text()).toBe('in')
  })
})
