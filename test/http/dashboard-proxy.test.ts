import { request } from 'node:http'
import { expect, it, onTestFinished } from 'vitest'
import { serveDashboard } from '../../src/http/dashboard-proxy.ts'
import { HttpService } from '../../src/http/http-service.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { makeApp } from '../support/app.ts'
import { describeSqlite } from '../support/databases.ts'

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

async function asked(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, { redirect: 'manual', ...init })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

describeSqlite((fixture) => {
  it('a proxy gives the API of a node to the browser that has its key, and its token to nobody', async () => {
    await fixture.open()
    await fixture.empty()
    const jobs = [defineJob({ id: 'echo' }, (ctx) => ctx.input)]
    const app = makeApp(fixture.options, jobs, { settings: { http: { port: 0, require_token: true } } })
    const node = app.addService(new HttpService(app, app.settings.http), { first: true })
    await app.start()
    const { token } = await app.tokens.create({ name: 'remote', role: 'operator' })
    const target = node.url ?? ''
    const proxy = await serveDashboard({ target, token, port: 0 })
    onTestFinished(() => proxy.close())
    const { origin } = new URL(proxy.url)
    expect(origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)

    expect(await asked(`${origin}/api/v1/jobs`)).toMatchObject({ status: 401 })
    expect(await asked(`${origin}/open?key=${'x'.repeat(43)}`)).toMatchObject({ status: 401 })
    expect((await asked(`${origin}/api/v1/jobs`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(401)
    const opened = await asked(proxy.url)
    expect([opened.status, opened.headers.get('location')]).toEqual([302, '/'])
    const cookie = opened.headers.get('set-cookie') ?? ''
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict$/)
    const headers = { cookie: cookie.split(';')[0] ?? '' }

    const listed = await asked(`${origin}/api/v1/jobs?search=ech`, { headers })
    expect(JSON.parse(listed.text)).toMatchObject({ items: [{ id: 'echo' }] })
    expect(`${listed.text}${JSON.stringify([...listed.headers])}`).not.toContain(token)
    const started = await asked(`${origin}/api/v1/jobs/echo/runs`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', origin },
      body: JSON.stringify({ input: { a: 1 }, wait: '30s' }),
    })
    expect(JSON.parse(started.text)).toMatchObject({ state: 'succeeded', output: { a: 1 } })
    const [entry] = await app.audit.list({ limit: 1 })
    expect(entry).toMatchObject({ verb: 'runs.start' })
    // Errors of the node come through as they are.
    const unknown = await asked(`${origin}/api/v1/jobs/nobody`, { headers })
    expect([unknown.status, JSON.parse(unknown.text)]).toMatchObject([404, { code: 'JOB_UNKNOWN' }])

    for (const wrong of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }])
      expect((await asked(`${origin}/api/v1/jobs`, { headers: { ...headers, ...wrong } })).status).toBe(403)
    expect(await statusFor(origin, { ...headers, host: 'evil.example' })).toBe(403)
    const page = await asked(origin, { headers: { accept: 'text/html' } })
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")

    // Events arrive while the answer is open.
    const events = await fetch(`${origin}/api/v1/events`, { headers })
    expect(events.headers.get('content-type')).toContain('text/event-stream')
    const reader = events.body?.pipeThrough(new TextDecoderStream()).getReader()
    await app.enqueue('echo')
    let heard = ''
    while (!heard.includes('"kind":"run"')) heard += (await reader?.read())?.value ?? ''
    await reader?.cancel()

    await app.stop()
    const gone = await asked(`${origin}/api/v1/jobs`, { headers })
    expect([gone.status, JSON.parse(gone.text)]).toMatchObject([502, { code: 'HTTP_FAILED' }])
    expect(gone.text).toContain('does not answer')
  })
})

/** The status of a request with a host that `fetch` would not send. */
function statusFor(origin: string, headers: Readonly<Record<string, string>>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(`${origin}/api/v1/jobs`, { headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .once('error', reject)
      .end()
  })
}
