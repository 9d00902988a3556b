import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { ROLES } from '../../src/access/actor.ts'
import { isMatch, mayReach } from '../../src/access/job-globs.ts'
import { digestOf } from '../../src/access/token.ts'
import { ANY_ROUTES, type AnyRoute, STREAMS } from '../../src/api/routes.ts'
import type { Piko } from '../../src/app/piko.ts'
import { createClient, type LiveEvent } from '../../src/client/index.ts'
import { isLoopback } from '../../src/access/loopback.ts'
import { hostOf, isOwnHost, isOwnOrigin } from '../../src/http/access/addresses.ts'
import { HttpService } from '../../src/http/http-service.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { SettingsOverrides } from '../../src/settings/settings.ts'
import { tokensOf } from '../../src/settings/tokens-file.ts'
import { eventually, makeApp, recordEvents } from '../support/app.ts'
import { Certificates } from '../support/certificates.ts'
import { describeEachStore, describeSqlite, type TestStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

const jobs = [defineJob({ id: 'sync_orders', cron: '0 * * * *' }, () => 1), defineJob({ id: 'other' }, () => 2)]
const SECRET = 'a'.repeat(40)

interface Served {
  readonly app: Piko
  readonly url: string
}

async function serve(store: TestStore, http: SettingsOverrides['http'] = {}): Promise<Served> {
  const settings = { http: { port: 0, ...http } }
  const app = makeApp(store.options, jobs, { settings })
  const service = app.addService(new HttpService(app, app.settings.http), { first: true })
  await app.start()
  return { app, url: `${service.url}/api/v1` }
}

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: {
    readonly code?: string
    readonly detail?: string
    readonly details?: Record<string, unknown>
  } & Record<string, unknown>
}

async function ask(url: string, init: RequestInit & { readonly token?: string | undefined } = {}): Promise<Answer> {
  const { token, ...rest } = init
  const headers = new Headers(rest.headers)
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  if (rest.body !== undefined) headers.set('content-type', 'application/json')
  const response = await fetch(url, { ...rest, headers })
  const isStream = response.headers.get('content-type')?.includes('event-stream') === true
  const text = isStream ? '' : await response.text()
  if (isStream) await response.body?.cancel()
  return {
    status: response.status,
    headers: response.headers,
    body: (text === '' ? {} : JSON.parse(text)) as Answer['body'],
  }
}

/** The request of a route's example. */
function exampleOf(base: string, { path, method, example, body }: AnyRoute): [url: string, init: RequestInit] {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(example.params?.[name])))
  const query = new URLSearchParams(
    Object.entries(example.query ?? {}).map(([key, value]): [string, string] => [key, String(value)]),
  )
  return [
    `${base}${filled}?${query.toString()}`,
    { method, headers: { ...example.headers }, ...(body && { body: JSON.stringify(example.body ?? {}) }) },
  ]
}

/** Sends a request with any headers, such as a foreign Host. */
function raw(url: string, headers: Record<string, string>, method = 'GET'): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method, headers }, (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

describeEachStore((store) => {
  it('lets each role use exactly its routes, and a limited token only those that are about its jobs', async () => {
    await store.empty()
    const { app, url } = await serve(store, { require_token: true, rate_limit: 0 })
    const create = async (name: string, role: 'viewer' | 'operator' | 'admin', globs?: string[]): Promise<string> =>
      (await app.tokens.create({ name, role, ...(globs && { jobs: globs }) })).token
    const revoked = await create('revoked', 'admin')
    await app.tokens.revoke('revoked')
    const expired = (await app.tokens.create({ name: 'expired', role: 'admin', expiresIn: '1h' })).token
    await app.sql.exec("UPDATE piko_token SET expires_at = created_at WHERE name = 'expired'")
    const tokens: Readonly<Record<string, string | undefined>> = {
      ...{ none: undefined, garbage: 'piko_garbage', revoked, expired },
      ...{ viewer: await create('viewer', 'viewer'), operator: await create('operator', 'operator') },
      limited: await create('limited', 'admin', ['sync_*']),
      misplaced: await create('misplaced', 'admin', ['shop_*']),
      admin: await create('boss', 'admin'),
    }
    const refusals = recordEvents(app, 'request.refused')
    const table: [string, string, string][] = []
    const expected: [string, string, string][] = []
    const routes = [...ANY_ROUTES, ...STREAMS]
    for (const route of routes) {
      const { params, query, body } = route.example
      const parts = { params: params ?? {}, query: query ?? {}, body: (body ?? {}) as Record<string, unknown> }
      const about = route.job?.(parts)
      const named = about && 'job' in about ? [about.job] : about && 'jobs' in about ? about.jobs : []
      for (const [name, token] of Object.entries(tokens)) {
        const { status, body: answer } = await ask(...withToken(exampleOf(url, route), token))
        const reason = answer.details?.['reason']
        table.push([
          route.id,
          name,
          [401, 403, 421, 429].includes(status)
            ? `${status} ${answer.code} ${typeof reason === 'string' ? reason : ''}`.trim()
            : 'passed',
        ])
        expected.push([route.id, name, outcome(route, name, named)])
      }
    }
    expect(table).toEqual(expected)
    expect(table.length).toBe(routes.length * 9)
    expect(refusals.length).toBe(table.filter(([, , seen]) => seen !== 'passed').length)
    expect((await app.metrics()).body).toMatch(/piko_http_refused_total\{code="TOKEN_INVALID"\} \d+/)
    await eventually(async () => expect((await app.tokens.show('viewer')).lastUsedAt).toBeInstanceOf(Date))
  })

  it('looks up the job of a run for a limited token, and answers the same for a foreign and an unknown run', async () => {
    await store.empty()
    const { app, url } = await serve(store, { require_token: true })
    const { token } = await app.tokens.create({ name: 'team', role: 'operator', jobs: ['sync_*'] })
    const [own, foreign] = [await app.enqueue('sync_orders'), await app.enqueue('other')]
    const of = async (path: string): Promise<Answer> => ask(`${url}${path}`, { token })
    expect((await of(`/runs/${own}`)).body).toMatchObject({ jobId: 'sync_orders' })
    const [one, other] = [await of(`/runs/${foreign}`), await of('/runs/987654')]
    expect([one.status, one.body]).toEqual([403, expect.objectContaining({ code: 'ACCESS_DENIED' })])
    expect(other.body).toEqual(one.body)
    expect([
      (await of('/runs?jobId=sync_orders')).status,
      (await of('/runs?jobId=other')).status,
      (await of('/runs')).status,
    ]).toEqual([200, 403, 403])
  })

  it('records a change through the API once, with the token, the reason and both states', async () => {
    await store.empty()
    const { app, url } = await serve(store)
    const { token } = await app.tokens.create({ name: 'anna', role: 'operator' })
    const start = (await app.audit.list({ limit: 1 }))[0]?.id
    const body = JSON.stringify({ reason: 'closed' })
    expect((await ask(`${url}/jobs/sync_orders/pause`, { method: 'POST', body, token })).status).toBe(200)
    expect((await ask(`${url}/jobs/sync_orders/resume`, { method: 'POST', body: '{}' })).status).toBe(200)
    expect((await ask(`${url}/jobs/none/pause`, { method: 'POST', body, token })).status).toBe(404)
    const run = await ask(`${url}/jobs/other/runs`, {
      method: 'POST',
      body: JSON.stringify({ wait: true, reason: 'now' }),
      token,
    })
    expect(run.body).toMatchObject({ state: 'succeeded' })
    const rows = (await app.audit.list()).filter(({ id }) => id > (start ?? 0))
    expect(rows).toMatchObject([
      {
        verb: 'runs.start',
        actor: { kind: 'token', name: 'anna' },
        reason: 'now',
        jobId: 'other',
        after: { jobId: 'other' },
      },
      { verb: 'jobs.resume', actor: { kind: 'local', name: 'loopback' }, reason: undefined },
      {
        ...{ verb: 'jobs.pause', actor: { kind: 'token', name: 'anna' }, reason: 'closed', jobId: 'sync_orders' },
        ...{ before: { isPaused: false }, after: { isPaused: true }, outcome: 'done' },
      },
    ])
    const listed = await ask(`${url}/audit?verb=jobs.pause`, { token })
    expect(listed.body).toMatchObject({ items: [{ verb: 'jobs.pause', reason: 'closed', outcome: 'done' }] })
  })

  it('shows events of the audit only to a role that may read the audit, in pages and in the stream', async () => {
    await store.empty()
    const { app, url } = await serve(store, { require_token: true })
    const refusals = recordEvents(app, 'request.refused')
    const next = (await app.live.page()).next
    const read = async (role: 'viewer' | 'operator'): Promise<LiveEvent[]> => {
      const { token } = await app.tokens.create({ name: role, role })
      const page = await ask(`${url}/events/page?after=${next}&jobs=sync_orders`, { token })
      const client = createClient({ url: url.replace('/api/v1', ''), token })
      const streamed: LiveEvent[] = []
      for await (const item of client.events({ after: next, jobs: ['sync_orders'] })) {
        if ('at' in item) streamed.push(item)
        if (item.kind === 'job' && item.change === 'resumed') break
      }
      const items = page.body['items'] as LiveEvent[]
      expect(streamed).toEqual(items.slice(0, streamed.length))
      return streamed
    }
    await app.jobs.pause('sync_orders')
    await app.jobs.resume('sync_orders')
    await eventually(async () => {
      const { items } = await app.live.page({ after: next })
      expect(items).toEqual(expect.arrayContaining([expect.objectContaining({ kind: 'job', change: 'resumed' })]))
    })
    const kindsOf = async (role: 'viewer' | 'operator'): Promise<Set<unknown>> =>
      new Set((await read(role)).map(({ kind }) => kind))
    expect(await kindsOf('viewer')).toEqual(new Set(['job']))
    expect(await kindsOf('operator')).toEqual(new Set(['job', 'audit']))
    const { token } = await app.tokens.create({ name: 'curious', role: 'viewer' })
    for (const path of ['/events', '/events/page'])
      expect(await ask(`${url}${path}?kinds=run,audit`, { token })).toMatchObject({
        status: 403,
        body: { code: 'ACCESS_DENIED', details: { needs: 'operator', has: 'viewer' } },
      })
    expect(refusals.length).toBe(2)
  })
})

function withToken(
  [url, init]: [string, RequestInit],
  token: string | undefined,
): [string, RequestInit & { token?: string | undefined }] {
  return [url, { ...init, token }]
}

function outcome({ role }: AnyRoute, name: string, named: readonly string[]): string {
  if (['none', 'garbage', 'revoked', 'expired'].includes(name)) return '401 TOKEN_INVALID'
  if (name === 'limited' && !(named.length > 0 && named.every((job) => mayReach({ jobs: ['sync_*'] }, job))))
    return '403 ACCESS_DENIED jobs'
  if (name === 'misplaced') return '403 ACCESS_DENIED jobs'
  const held = name === 'viewer' || name === 'operator' ? name : 'admin'
  return ROLES.indexOf(held) >= ROLES.indexOf(role) ? 'passed' : '403 ACCESS_DENIED role'
}

describeSqlite((store) => {
  let served: Served
  beforeAll(async () => {
    await store.open()
  })

  it('answers this machine without a token, but no foreign host, page or forwarded request', async () => {
    await store.empty()
    served = await serve(store)
    const { url } = served
    const port = new URL(url).port
    expect((await raw(`${url}/jobs`, {})).status).toBe(200)
    expect((await raw(`${url}/session`, {})).body).toBe('{"kind":"local","name":"loopback","role":"admin"}')
    for (const host of ['evil.test', `evil.test:${port}`, 'localhost.evil.test', 'a b']) {
      const { status, body } = await raw(`${url}/jobs`, { host })
      expect([host, status, body]).toEqual([host, 403, expect.stringContaining('[http] hosts')])
    }
    for (const host of [`localhost:${port}`, '127.0.0.1', '[::1]:80'])
      expect([(await raw(`${url}/jobs`, { host })).status, host]).toEqual([200, host])
    const own = `http://127.0.0.1:${port}`
    expect((await raw(`${url}/jobs`, { origin: own })).status).toBe(200)
    for (const origin of ['https://evil.test', 'null', 'http://127.0.0.1:1']) {
      expect([(await raw(`${url}/jobs`, { origin })).status, origin]).toEqual([403, origin])
    }
    expect((await raw(`${url}/jobs`, { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' })).status).toBe(403)
    expect((await raw(`${url}/jobs`, { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })).status).toBe(
      200,
    )
    // A proxy that rewrites Host, so that the request looks local.
    for (const name of [
      'x-forwarded-for',
      'X-Forwarded-Proto',
      'x-forwarded-anything',
      'forwarded',
      'via',
      'x-real-ip',
    ]) {
      const { status, body } = await raw(`${url}/jobs`, { [name]: '10.0.0.1', host: `127.0.0.1:${port}` })
      expect([name, status, body]).toEqual([name, 401, expect.stringContaining(name.toLowerCase()) as string])
    }
    const { status, headers } = await ask(`${url}/jobs`, { token: 'garbage' })
    expect([status, headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="piko"'])
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect([headers.get('x-content-type-options'), headers.get('x-frame-options')]).toEqual(['nosniff', 'DENY'])
    expect((await raw(`${url.replace('/api/v1', '')}/healthz`, { host: 'pod.test' })).status).toBe(200)
  })

  it('lets requests of a proxy count as local only where a setting says so', async () => {
    await store.empty()
    const { url } = await serve(store, { trust_forwarded: true })
    expect((await raw(`${url}/jobs`, { 'x-forwarded-for': '10.0.0.1' })).status).toBe(200)
    const strict = await serve(store, { trust_forwarded: true, require_token: true })
    expect((await raw(`${strict.url}/jobs`, { 'x-forwarded-for': '10.0.0.1' })).status).toBe(401)
  })

  it('opens a session for a browser that logs in, and ends it with a logout or with its token', async () => {
    await store.empty()
    const { app, url } = await serve(store, { require_token: true })
    const { token } = await app.tokens.create({ name: 'anna', role: 'operator' })
    const origin = new URL(url).origin
    const login = async (): Promise<string> => {
      const { status, headers, body } = await ask(`${url}/session`, {
        method: 'POST',
        headers: { origin },
        body: JSON.stringify({ token }),
      })
      expect([status, body]).toEqual([
        201,
        expect.objectContaining({ kind: 'session', name: 'anna', role: 'operator' }),
      ])
      const cookie = headers.get('set-cookie') ?? ''
      expect(cookie).toMatch(/^piko_session=pikos_[\w-]+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/)
      return cookie.split(';')[0] ?? ''
    }
    const cookie = await login()
    expect((await ask(`${url}/session`, { headers: { cookie } })).body).toEqual({
      kind: 'session',
      name: 'anna',
      role: 'operator',
    })
    const pause = (headers: Record<string, string>): Promise<Answer> =>
      ask(`${url}/jobs/sync_orders/pause`, { method: 'POST', body: '{}', headers: { cookie, ...headers } })
    expect((await pause({})).body).toMatchObject({ code: 'ACCESS_DENIED', details: { reason: 'origin' } })
    expect((await pause({ origin: 'https://evil.test' })).status).toBe(403)
    expect((await pause({ origin })).status).toBe(200)
    expect(await app.audit.list({ verb: 'jobs.pause' })).toMatchObject([{ actor: { kind: 'session', name: 'anna' } }])
    const out = await ask(`${url}/session`, { method: 'DELETE', headers: { cookie, origin } })
    expect([out.status, out.headers.get('set-cookie')]).toEqual([204, expect.stringContaining('piko_session=;')])
    expect((await ask(`${url}/jobs`, { headers: { cookie } })).status).toBe(401)
    const second = await login()
    await app.tokens.revoke('anna')
    expect((await ask(`${url}/jobs`, { headers: { cookie: second } })).body).toMatchObject({ code: 'TOKEN_INVALID' })
    expect((await ask(`${url}/session`, { method: 'POST', body: '{"token":"x","user":1}' })).body).toMatchObject({
      code: 'REQUEST_INVALID',
    })
    // Nothing that opens a door is stored.
    const stored = JSON.stringify([
      await app.sql.query('SELECT * FROM piko_token'),
      await app.sql.query('SELECT * FROM piko_session'),
      await app.sql.query('SELECT * FROM piko_audit'),
    ])
    expect(stored).not.toContain(token)
    expect(stored).not.toContain(second.slice('piko_session='.length))
    expect(stored).toContain(digestOf(token))
  })

  it('refuses more requests than allowed, wrong tokens without end, and large bodies', async () => {
    await store.empty()
    const { app, url } = await serve(store, { require_token: true, rate_limit: 5, body_limit: 1_000 })
    const { token } = await app.tokens.create({ name: 'busy', role: 'operator' })
    const body = JSON.stringify({ reason: 'x'.repeat(2_000) })
    expect((await ask(`${url}/jobs/sync_orders/pause`, { method: 'POST', body, token })).body).toMatchObject({
      status: 413,
      code: 'BODY_TOO_LARGE',
    })
    const statuses = []
    for (let sent = 0; sent < 6; sent++) statuses.push((await ask(`${url}/jobs`, { token })).status)
    expect(statuses).toEqual([200, 200, 200, 200, 429, 429])
    const wrong = []
    for (let sent = 0; sent < 62; sent++) wrong.push((await ask(`${url}/jobs`, { token: `wrong${sent}` })).status)
    expect([wrong[0], wrong.at(-1)]).toEqual([401, 429])
    const { status, headers } = await ask(`${url}/jobs`, { token })
    expect([status, Number(headers.get('retry-after')) > 0]).toEqual([429, true])
  })

  it('reads a tokens file, and refuses to start with a wrong one', async () => {
    await store.empty()
    const folder = mkdtempSync(join(tmpdir(), 'piko-access-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'tokens.toml')
    writeFileSync(file, `[[token]]\nname = "grafana"\nrole = "viewer"\nsha256 = "${digestOf(SECRET)}"\n`)
    const { app, url } = await serve(store, { require_token: true, tokens_file: file })
    expect((await ask(`${url}/session`, { token: SECRET })).body).toEqual({
      kind: 'token',
      name: 'grafana',
      role: 'viewer',
    })
    expect(await app.access.hasTokens()).toBe(true)

    const read = tokensOf(
      'secret = 1\n[[token]]\nname = ""\nrole = "root"\ntoken = "short"\n[[token]]\nname = "a"\nrole = "viewer"\njobs = []\nexpires = "soon"\nsha256 = "x"\ncolor = 1',
    )
    expect(read.problems).toHaveLength(8)
    expect(read.problems.join('\n')).not.toContain('short"')
  })

  it('serves HTTPS with the files of a key and its certificate', async () => {
    await store.empty()
    const certificates = await Certificates.create()
    onTestFinished(() => rmSync(certificates.folder, { recursive: true, force: true }))
    certificates.sign('DNS:localhost,IP:127.0.0.1')
    const { url } = await serve(store, {
      ...{ tls_key: certificates.file('server.key'), tls_cert: certificates.file('server.pem') },
    })
    expect(url).toMatch(/^https:/)
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = { ca: readFileSync(certificates.file('authority.pem')) }
      httpsRequest(`${url}/session`, options, resolve).on('error', reject).end()
    })
    expect([answer.statusCode, answer.headers['strict-transport-security']]).toEqual([
      200,
      'max-age=31536000; includeSubDomains',
    ])
    answer.resume()
  })

  it('refuses to start on an address that other machines reach without a token or a decision about TLS', async () => {
    await store.empty()
    const open = { host: '0.0.0.0', port: 0 }
    const start = async (http: SettingsOverrides['http']): Promise<string> => {
      const app = makeApp(store.options, jobs, { settings: { http: { ...open, ...http } }, stopMayFail: true })
      const service = app.addService(new HttpService(app, app.settings.http), { first: true })
      await app.start()
      return service.url ?? ''
    }
    expect(await rejected(start({}))).toMatchObject({
      code: 'HTTP_UNPROTECTED',
      message: expect.stringMatching(/tls_key.*plain = true[^]*127\.0\.0\.1/) as string,
    })
    expect(await rejected(start({ plain: true }))).toMatchObject({
      code: 'HTTP_UNPROTECTED',
      message: expect.stringContaining('piko tokens create') as string,
    })
    expect(await rejected(start({ tls_key: '/no/key.pem' }))).toMatchObject({ code: 'TLS_INVALID' })
    expect(await rejected(start({ tls_key: '/no/key.pem', tls_cert: '/no/cert.pem' }))).toMatchObject({
      code: 'TLS_INVALID',
    })
    const probes = await start({ api: false })
    const at = `http://127.0.0.1:${new URL(probes).port}`
    expect([(await raw(`${at}/healthz`, {})).status, (await raw(`${at}/api/v1/jobs`, {})).status]).toEqual([200, 404])
    const app = makeApp(store.options, jobs)
    await app.start()
    const { token } = await app.tokens.create({ name: 'first', role: 'admin' })
    const url = `http://127.0.0.1:${new URL(await start({ plain: true })).port}/api/v1/jobs`
    expect([(await ask(url)).status, (await ask(url, { token })).status]).toEqual([401, 200])
  })
})

it('matches globs, hosts and origins', () => {
  expect([
    isMatch('sync_*', 'sync_orders'),
    isMatch('*', ''),
    isMatch('a?c', 'abc'),
    isMatch('a*b*c', 'axxbyyc'),
  ]).toEqual([true, true, true, true])
  expect([isMatch('sync_*', 'xsync_'), isMatch('a?c', 'ac'), isMatch('', 'a'), isMatch('a*b', 'abc')]).toEqual([
    false,
    false,
    false,
    false,
  ])
  expect(isMatch(`${'*a'.repeat(60)}b`, 'a'.repeat(128))).toBe(false)
  expect(['127.0.0.1', '127.9.9.9', 'localhost', '::1', '[::1]'].map(isLoopback)).not.toContain(false)
  expect(['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.evil.test', 'localhost.evil.test'].map(isLoopback)).not.toContain(
    true,
  )
  expect([
    hostOf('a.test:80'),
    hostOf('[::1]:1'),
    hostOf('A.TEST.'),
    hostOf('a@b'),
    hostOf(undefined),
    hostOf('a:b:c'),
  ]).toEqual(['a.test', '::1', 'a.test', undefined, undefined, undefined])
  expect([
    isOwnHost('10.1.2.3', []),
    isOwnHost('a.test', []),
    isOwnHost('a.test', ['A.test']),
    isOwnHost('b.test', ['*']),
  ]).toEqual([true, false, true, true])
  expect(isOwnOrigin('https://a.test', 'a.test', [])).toBe(true)
  expect(isOwnOrigin('https://a.test:1', 'a.test', [])).toBe(false)
  expect(isOwnOrigin('https://a.test', 'node:9464', ['a.test'])).toBe(true)
  expect(isOwnOrigin('file:///x', 'a.test', ['*'])).toBe(false)
})
