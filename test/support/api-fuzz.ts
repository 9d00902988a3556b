import fc from 'fast-check'
import { ANY_ROUTES, type AnyRoute } from '../../src/api/routes.ts'

/** Requests that would end what other requests need, or that load pages from other hosts. */
const LEFT_OUT: readonly string[] = ['crawls.try']
const LEAKS = /\bat .+\.(?:ts|js):\d+|node_modules|select .+ from|insert into|SQLITE_|ER_[A-Z]+_|piko_run\b/i
const MAX_MS = 30_000

interface FuzzedRequest {
  readonly route: AnyRoute
  readonly path: readonly string[]
  readonly query: readonly (readonly [string, string])[]
  readonly body: string | Uint8Array<ArrayBuffer>
  readonly headers: Readonly<Record<string, string>>
}

const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom(
    '',
    ' ',
    '0',
    '-1',
    '1e3',
    '9007199254740993',
    'null',
    '[]',
    '{}',
    '%00',
    '../..',
    "' OR 1=1 --",
    'a'.repeat(3_000),
  ),
  fc.constantFrom(
    'sync_orders',
    'ship_order',
    'broken',
    'shops',
    '1',
    '2',
    'true',
    '2026-01-01',
    '2026-01-01T00:00:00Z',
  ),
)
const deep = fc.constantFrom(1, 100, 20_000).map((depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`)

function bodyOf(route: AnyRoute): fc.Arbitrary<string | Uint8Array<ArrayBuffer>> {
  const names = Object.keys(route.body?.shape ?? { reason: 1 })
  const value = fc.oneof(fc.jsonValue({ maxDepth: 3 }), oddText)
  const objects = fc.dictionary(fc.constantFrom(...names, '__proto__', 'constructor', 'other'), value, { maxKeys: 5 })
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant(JSON.stringify(route.example.body ?? {})) },
    { weight: 4, arbitrary: objects.map((object) => JSON.stringify(object)) },
    { weight: 1, arbitrary: deep },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => new Uint8Array(bytes)) },
    { weight: 1, arbitrary: fc.constant(`{"reason":"${'x'.repeat(300_000)}"}`) },
  )
}

const request: fc.Arbitrary<FuzzedRequest> = fc
  .constantFrom(...ANY_ROUTES.filter(({ id }) => !LEFT_OUT.includes(id)))
  .chain((route) =>
    fc.record({
      route: fc.constant(route),
      path: fc.array(oddText, { minLength: 3, maxLength: 3 }),
      query: fc.array(fc.tuple(fc.oneof(fc.constantFrom(...Object.keys(route.query.shape), 'x'), oddText), oddText), {
        maxLength: 4,
      }),
      body: bodyOf(route),
      headers: fc.constantFrom(
        {},
        { 'content-type': 'application/json' },
        { 'content-type': 'text/plain' },
        { 'content-type': 'application/json', 'idempotency-key': 'k'.repeat(400) },
        Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`x-${n}`, 'y'.repeat(100)])),
      ),
    }),
  )

/** Sends generated requests to every operation. @returns what went wrong, with the request */
export async function fuzzApi(url: string, { seed, count }: { seed: number; count: number }): Promise<unknown[]> {
  const wrong: unknown[] = []
  for (const one of fc.sample(request, { seed, numRuns: count })) {
    const { route, path, query, body, headers } = one
    const names = [...path]
    const place = route.path.replaceAll(/\{\w+\}/g, () => encodeURIComponent(wellFormed(names.shift() ?? '')))
    const search = query.map(
      ([name, value]) => `${encodeURIComponent(wellFormed(name))}=${encodeURIComponent(wellFormed(value))}`,
    )
    const target = `${url}${place}?${search.join('&')}`
    const hasBody = route.method !== 'GET'
    try {
      const response = await fetch(target, {
        method: route.method,
        headers: hasBody && !('content-type' in headers) ? { ...headers, 'content-type': 'application/json' } : headers,
        ...(hasBody && { body: body }),
        signal: AbortSignal.timeout(MAX_MS),
      })
      const text = await response.text()
      const leak = response.status >= 400 ? LEAKS.exec(text)?.[0] : undefined
      if (response.status >= 500 || leak !== undefined)
        wrong.push({
          id: route.id,
          target: target.slice(0, 300),
          body: String(body).slice(0, 200),
          status: response.status,
          leak,
          text: text.slice(0, 300),
        })
    } catch (error) {
      wrong.push({ id: route.id, target: target.slice(0, 300), error: String(error) })
    }
  }
  return wrong
}

function wellFormed(text: string): string {
  return text.toWellFormed()
}
