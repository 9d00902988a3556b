import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect, it } from 'vitest'
import { openApiOf } from '../../../src/api/openapi.ts'
import { ANY_ROUTES, type AnyRoute, DOCUMENTED, STREAMS } from '../../../src/api/routes.ts'
import { SESSION } from '../../../src/api/nouns/session.ts'
import { apiFixture, type ApiFixture } from '../../support/api-fixture.ts'
import { describeEachStore } from '../../support/databases.ts'

const document = JSON.parse(JSON.stringify(openApiOf(DOCUMENTED, { base: '/api/v1', version: '1' }))) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}
interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { schema: object }>> }>>
}
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
ajv.addSchema(document, 'api')

/** Checks an answer with the schema that the document has for it. */
function problemsOf(route: AnyRoute, body: unknown): unknown {
  const pointer = ['paths', route.path, route.method.toLowerCase(), 'responses', String(route.status)]
    .map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1'))
    .map(encodeURIComponent)
    .join('/')
  const validate = ajv.getSchema(
    `api#/${pointer}/content/${route.isStream ? 'text~1event-stream' : 'application~1json'}/schema`,
  )
  if (!validate) throw new Error(`no schema for ${pointer}`)
  return validate(body) ? [] : validate.errors
}

/** Where a test sends something else than the example: the numbers and hosts of its own store. */
function requestOf(route: AnyRoute, { ids }: ApiFixture) {
  const { params = {}, query = {}, body, headers = {} } = route.example
  const own: Readonly<Record<string, Readonly<Record<string, string | number>>>> = {
    'items.status': { runId: ids['itemRun'] ?? 0 },
    'items.list': { runId: ids['itemRun'] ?? 0 },
    'items.replay': { runId: ids['itemRun'] ?? 0 },
    'crawls.pause': { host: '127.0.0.1:1' },
    'crawls.resume': { host: '127.0.0.1:1' },
    'runs.start': { jobId: 'ship_order' },
  }
  const given = { ...params, ...pick(ids, Object.keys(params)), ...own[route.id] }
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_all, name: string) =>
    encodeURIComponent(String((given as Record<string, string | number>)[name])),
  )
  const search = new URLSearchParams(
    Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
  )
  const sent = route.id === 'crawls.try' ? { url: 'http://127.0.0.1:1/1' } : body
  return { url: `${path}?${search.toString()}`, body: sent, headers }
}

function pick(from: Readonly<Record<string, number>>, names: readonly string[]): Record<string, number> {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)))
}

/** Reads come before changes, except of what another example makes, and the ends of things last, so that each example finds what it needs. */
const LAST = ['runs.cancelOne', 'batches.cancel', 'backfills.cancel', 'schedules.clear', 'nodes.resume', 'sinks.drop']
const order = ({ id, audit }: AnyRoute): number =>
  id === 'tokens.create' ? -1 : LAST.includes(id) ? 2 : audit === undefined ? 0 : 1

const AUDIT_BEGIN = '2020-01-01T00:00:00Z'

describeEachStore((store) => {
  it('answers the example of each operation as its document says', async () => {
    await store.empty()
    const fixture = await apiFixture(store.options)
    const nodeHost = (await fixture.app.nodes.list())[0]?.host ?? ''
    const failures: unknown[] = []
    const newest = async () => (await fixture.app.audit.list({ limit: 1 }))[0]
    let lastRow = (await newest())?.id ?? 0
    for (const route of ANY_ROUTES.toSorted((one, other) => order(one) - order(other))) {
      const { url, body, headers } = requestOf(route, fixture)
      const response = await fetch(`${fixture.url}${url.replace('worker-1', encodeURIComponent(nodeHost))}`, {
        method: route.method,
        headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      const answer: unknown = text === '' ? undefined : JSON.parse(text)
      const problems = response.status === route.status && route.answer ? problemsOf(route, answer) : []
      if (response.status !== route.status || (Array.isArray(problems) && problems.length > 0))
        failures.push({ id: route.id, url, status: response.status, answer, problems })
      // Each change leaves exactly one row, and a read leaves none.
      const rows = await fixture.app.audit.list({ limit: 10, from: AUDIT_BEGIN })
      const added = rows.filter(({ id }) => id > lastRow)
      lastRow = added[0]?.id ?? lastRow
      const isChange = route.audit !== undefined && (body as { dryRun?: boolean } | undefined)?.dryRun !== true
      const isRight = added.every(
        (row) =>
          row.actor.name === 'loopback' &&
          row.outcome === 'done' &&
          row.before !== undefined &&
          row.after !== undefined &&
          row.verb === route.id.replace(/One$/, ''),
      )
      if (added.length !== (isChange ? 1 : 0) || !isRight) failures.push({ id: route.id, audit: added })
    }
    for (const route of STREAMS) {
      const { url } = requestOf(route, fixture)
      const gone = new AbortController()
      const response = await fetch(`${fixture.url}${url}`, { signal: gone.signal })
      const [type, first] = [response.headers.get('content-type'), await response.body?.getReader().read()]
      gone.abort()
      if (response.status !== route.status || !type?.startsWith('text/event-stream') || first?.done !== false)
        failures.push({ id: route.id, status: response.status, type })
    }
    const { token } = await fixture.app.tokens.create({ name: 'browser', role: 'operator' })
    const opened = await fetch(`${fixture.url}/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    })
    const headers = {
      cookie: opened.headers
        .getSetCookie()
        .map((cookie) => cookie.split(';')[0])
        .join('; '),
    }
    for (const route of SESSION) {
      const response =
        route.id === 'session.open' ? opened : await fetch(`${fixture.url}/session`, { method: route.method, headers })
      const problems = route.answer ? problemsOf(route, await response.json()) : []
      if (response.status !== route.status || (problems as unknown[]).length > 0)
        failures.push({ id: route.id, status: response.status, problems })
    }
    expect(failures).toEqual([])
    // A refused change leaves no row, and is counted.
    const before = await newest()
    const refused = await fetch(`${fixture.url}/jobs/nobody/pause`, { method: 'POST' })
    expect(refused.status).toBe(404)
    expect(await newest()).toEqual(before)
    expect((await fixture.app.metrics()).body).toMatch(/piko_change_refused_total\{[^}]*verb="jobs.pause"[^}]*\} 1/)
  })
})

it('the example of each answer fits its schema', () => {
  for (const route of DOCUMENTED) {
    if (route.answer)
      expect({ id: route.id, problems: problemsOf(route, route.example.answer) }).toEqual({
        id: route.id,
        problems: [],
      })
  }
})
