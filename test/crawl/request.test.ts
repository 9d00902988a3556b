import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalUrl, TRACKING_PARAMETERS } from '../../src/crawl/request/canonical-url.ts'
import { itemKey, type KeyParts } from '../../src/crawl/request/item-key.ts'
import { newItem, type RequestParent, type RequestRules } from '../../src/crawl/request/ready-request.ts'
import { linkFilter } from '../../src/crawl/link/link-filter.ts'
import { laneOf } from '../../src/crawl/run/item-payload.ts'

const part = fc.string({ unit: fc.constantFrom(...'abz019-._~%2fFeE é/+;:@[|'), maxLength: 12 })
const webUrl = fc
  .record({
    host: fc.constantFrom('a.test', 'A.TEST', 'a.test:443', 'b.test:8080', 'xn--bcher-kva.test', 'bücher.test'),
    path: fc.array(part, { maxLength: 4 }),
    query: fc.array(fc.tuple(fc.constantFrom('x', 'y', 'utm_source', 'Z', '%78'), part), { maxLength: 6 }),
    hash: fc.option(part, { nil: '' }),
  })
  .map(({ host, path, query, hash }) => ({
    base: `https://${host}/${path.map((one) => one.replaceAll(/[?#]/g, '')).join('/')}`,
    query: query.map(([name, value]) => `${name}=${value.replaceAll(/[&#]/g, '')}`),
    hash,
  }))

describe('canonical URLs', () => {
  it('stay the same when canonicalized again, and name the same page in any order of their names', () => {
    fc.assert(
      fc.property(webUrl, fc.array(fc.nat(), { minLength: 6, maxLength: 6 }), ({ base, query, hash }, keys) => {
        const canonical = canonicalUrl(`${base}?${query.join('&')}#${hash}`)
        expect(canonicalUrl(canonical)).toBe(canonical)
        const named = Map.groupBy(query, (one) => one.split('=')[0]?.replace('%78', 'x'))
        const shuffled = [...named.values()]
          .map((values, index) => ({ values, key: keys[index] ?? 0 }))
          .toSorted((a, b) => a.key - b.key)
          .flatMap(({ values }) => values)
        expect(canonicalUrl(`${base}?${shuffled.join('&')}#`)).toBe(canonical)
        expect(canonical).not.toMatch(/#|:443\/|%7[Ee]|%2[Dd]/)
        expect((canonical.match(/%[\dA-Fa-f]{2}/g) ?? []).filter((escape) => /[a-f]/.test(escape))).toEqual([])
      }),
      { numRuns: 300 },
    )
  })

  it.each([
    ['https://A.test:443/a?x=1&y=2#z', 'https://a.test/a?y=2&x=1', true],
    ['http://a.test/%7Euser/%c3%a9', 'http://a.test/~user/é', true],
    ['http://a.test/a/../b', 'http://a.test/b', true],
    ['http://a.test?', 'http://a.test/', true],
    ['http://a.test./x', 'http://a.test/x', true],
    ['http://a.test.:8080/', 'http://a.test:8080/', true],
    ['http://a.test/?a[]=x|y&{b}', 'http://a.test/?a%5B%5D=x%7cy&%7Bb%7d', true],
    ['http://a.test/[x]|"y"', 'http://a.test/%5bx%5d%7C%22y%22', true],
    ['http://a.test/?x=1&x=2', 'http://a.test/?x=2&x=1', false],
    ['http://a.test/a%2Fb', 'http://a.test/a/b', false],
    ['http://a.test/a?x=%26', 'http://a.test/a?x=&', false],
    ['http://a.test/A', 'http://a.test/a', false],
    ['http://a.test/', 'https://a.test/', false],
  ])('%s and %s are one: %s', (one, other, isSame) => {
    expect(canonicalUrl(one) === canonicalUrl(other)).toBe(isSame)
  })

  it('leave out the parameters that make no difference, and only these', () => {
    const ignored = canonicalUrl('https://a.test/?utm_source=x&id=1&gclid=2&autm_=3&fbclid=4', TRACKING_PARAMETERS)
    expect(ignored).toBe('https://a.test/?autm_=3&id=1')
    expect(canonicalUrl('https://a.test/?abc=1&ac=2&aXc=3', ['a*c'])).toBe('https://a.test/')
    expect(canonicalUrl('https://a.test/?ab=1', ['ab*b'])).toBe('https://a.test/?ab=1')
    expect(canonicalUrl('https://a.test/?f[x]=1&f%5By%5D=2', ['f[*]'])).toBe('https://a.test/')
  })

  it('keep what is not a web URL', () => {
    expect(['mailto:a@b.test', 'file:///etc/passwd', 'no url'].map((url) => canonicalUrl(url))).toEqual([
      'mailto:a@b.test',
      'file:///etc/passwd',
      'no url',
    ])
  })
})

describe('the key of an item', () => {
  it('is equal only for equal parts, however the parts divide the same characters', () => {
    const parts = fc.record({
      method: fc.constantFrom('GET', 'POST'),
      canonicalUrl: fc.oneof(
        part,
        webUrl.map(({ base }) => canonicalUrl(base)),
        part.map((text) => text.repeat(300)),
      ),
      body: fc.option(part.map((text) => ({ text }))),
      extra: part,
    })
    const asParts = (given: Omit<KeyParts, 'body'> & { body: { text: string } | null }): KeyParts => ({
      ...given,
      body: given.body ?? undefined,
    })
    const whole = (one: KeyParts): string =>
      JSON.stringify([one.method, one.canonicalUrl, one.body ?? { text: '' }, one.extra])
    fc.assert(
      fc.property(parts, parts, fc.boolean(), (one, other, isSameUrl) => {
        const a = asParts(one)
        const b = asParts(isSameUrl ? { ...other, canonicalUrl: one.canonicalUrl } : other)
        if (whole(a) === whole(b)) return
        expect(itemKey(a)).not.toBe(itemKey(b))
        expect(itemKey(a).length).toBeLessThan(2_048)
      }),
    )
  })

  it('reads as the request that it is', () => {
    const get = { method: 'GET', canonicalUrl: 'https://a.test/?x=1', body: undefined, extra: '' }
    expect(itemKey(get)).toBe('GET https://a.test/?x=1')
    expect(itemKey({ ...get, extra: 'x' })).toMatch(/^GET https:\/\/a.test\/\?x=1 [\da-f]{64}$/)
  })
})

describe('the lane of a URL', () => {
  it('is its host, also with a dot at its end, and of a very long one no other', () => {
    const lanes = ['https://A.test./x', 'https://a.test:443/', 'http://a.test.:8080/', 'mailto:x@a.test'].map(laneOf)
    expect(lanes).toEqual(['a.test', 'a.test', 'a.test:8080', 'no-host'])
    const long = `${'a'.repeat(60)}.`.repeat(4)
    const [one = '', other = ''] = [`https://${long}x.test/`, `https://${long}y.test/`].map(laneOf)
    expect([one === other, one.length <= 200, one.startsWith(long.slice(0, 130))]).toEqual([false, true, true])
  })
})

const rules: RequestRules = {
  crawl: 'shop',
  ignore: [],
  steps: new Map([
    ['list', { request: {}, priority: 0, downloader: undefined }],
    [
      'api',
      {
        request: { method: 'POST', headers: { Accept: 'application/json', 'x-step': '1' }, accept: [404] },
        priority: -5,
        downloader: 'step:api',
      },
    ],
  ]),
}
const parent: RequestParent = { url: 'https://a.test/dir/page?x', step: 'list', session: 's1' }
const made = (given: unknown, from: RequestParent | undefined = parent) => newItem(given, rules, from)
const problemOf = (given: unknown): string => {
  try {
    newItem(given, rules, undefined)
  } catch (error) {
    return String(error)
  }
  return 'none'
}

describe('a request', () => {
  it('has the user and password of its URL as a header, and shows neither them nor its query in an error', () => {
    const { request, key } = made({ url: 'http://me:geheim@b.test/x?q=1' })
    expect([request.url, key]).toEqual(['http://b.test/x?q=1', 'GET http://b.test/x?q=1'])
    expect(request.headers).toEqual({ authorization: `Basic ${Buffer.from('me:geheim').toString('base64')}` })
    const own = made({ url: 'http://me:geheim@b.test/', headers: { authorization: 'Bearer t' } })
    expect(own.request.headers).toEqual({ authorization: 'Bearer t' })
    const problem = problemOf({ url: 'http://me:geheim@b.test/x?token=abc', step: 'list', method: 'PULL' })
    expect(problem).toContain('http://')
    expect(problem).not.toMatch(/geheim|abc/)
  })

  it('is stored whole, with what its step, its page and its own options say', () => {
    const { request, data, priority, due } = made({
      url: '../api?q=1#here',
      step: 'api',
      headers: { 'X-Step': undefined, 'X-Own': 'ü', accept: 'text/csv' },
      body: { json: { a: [1, null] } },
      data: { from: new Date(0), deep: [{}] },
      due: '2026-01-01T00:00:00Z',
      cache: { mode: 'force', ttl: '1h' },
      timeout: '2s',
    })
    expect(request).toEqual({
      url: 'https://a.test/api?q=1',
      step: 'api',
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/csv', 'x-own': 'ü' },
      body: { text: '{"a":[1,null]}' },
      session: 's1',
      downloader: 'step:api',
      cache: { mode: 'force', ttlMs: 3_600_000 },
      timeoutMs: 2_000,
      redirects: 10,
      accept: [404],
    })
    expect({ data, priority, due }).toEqual({
      data: { from: '1970-01-01T00:00:00.000Z', deep: [{}] },
      priority: -5,
      due: new Date('2026-01-01T00:00:00Z'),
    })
  })

  it('keeps the step and the session of its page unless it names its own', () => {
    expect(made({ url: 'x' }).request).toMatchObject({ step: 'list', session: 's1', method: 'GET' })
    expect(made({ url: 'x', session: false }).request.session).toBeNull()
    expect(made({ url: 'x', session: 'two' }).request.session).toBe('two')
    expect(newItem({ url: 'https://a.test', step: 'list' }, rules, undefined).request).not.toHaveProperty('session')
  })

  it('is one item with the same method, URL and body, and another one with a string of its own', () => {
    const key = (given: object): string => made({ url: '/a?x=1&y=2#z', ...given }).key
    expect(key({ url: '/a?y=2&x=1', headers: { a: 'b' }, data: 1, priority: 3 })).toBe(key({}))
    const others = [key({ method: 'POST' }), key({ body: 'a' }), key({ body: 'b' }), key({ dedup: 'a' })]
    expect(new Set([...others, key({})]).size).toBe(others.length + 1)
    expect(key({ body: { json: 1 } })).toBe(key({ body: '1' }))
    expect([made({ url: '/a' }).isFiltered, made({ url: '/a', dedup: false }).isFiltered]).toEqual([true, false])
  })

  it('keeps a URL that no page has, so that its item fails and not the page', () => {
    expect(made({ url: 'http://[' }).request.url).toBe('http://[')
    expect(made({ url: 'file:///etc/passwd' }).request.url).toBe('file:///etc/passwd')
    expect(newItem({ url: '', step: 'list' }, rules, undefined).request.url).toBe('')
    expect(newItem({ url: '' }, rules, parent).request.url).toBe(parent.url)
  })

  it('is refused with every problem at once', () => {
    const text = problemOf({
      url: 1,
      step: 'lst',
      methd: 'GET',
      method: 'FETCH',
      headers: { 'a b': 'c', d: 'e\r\nf', 'Transfer-Encoding': 'chunked' },
      data: { a: Number.NaN, b: 'x'.repeat(3) },
      priority: 1.5,
      due: 'tomorrow',
      timeout: '5 minutes',
      accept: [4],
    })
    for (const problem of [
      'url is 1',
      'step is "lst"; expected one of list, api',
      'unknown option "methd", did you mean "method"?',
      'method is "FETCH"',
      'headers.a b contains characters',
      'headers.d contains characters',
      'headers.Transfer-Encoding belongs to the connection',
      'data.a is NaN',
      'priority is 1.5',
      'due is "tomorrow"',
      'timeout is "5 minutes"',
      'accept[0] is 4',
    ])
      expect(text).toContain(problem)
    expect(text).toContain('crawl "shop"')
    expect(problemOf({ url: 'https://a.test' })).toContain('step is missing; expected one of list, api')
    expect(problemOf({ url: 'https://a.test', step: 'list', data: 'x'.repeat(70_000) })).toContain('70002 bytes')
    expect(problemOf({ url: 'https://a.test', step: 'list', method: 'GET', body: 'x' })).toContain('no effect')
    expect(problemOf('https://a.test')).toContain('expected an object')
  })
})

describe('the links that a crawl follows', () => {
  it.each([
    [{}, 'https://other.test/a', undefined],
    [{ within: 'host' }, 'https://www.shop.test/a', undefined],
    [{ within: 'host' }, 'https://shop.test/a', 'host'],
    [{ within: 'domain' }, 'https://api.shop.test/a', undefined],
    [{ within: 'domain' }, 'https://shop.test/a', undefined],
    [{ within: 'domain' }, 'https://myshop.test/a', 'host'],
    [{ within: 'domain' }, 'mailto:a@shop.test', 'host'],
    [{ include: ['https://*/p/*'] }, 'https://www.shop.test/p/1', undefined],
    [{ include: ['https://*/p/*'] }, 'https://www.shop.test/p/1/2', 'pattern'],
    [{ include: ['https://**.html?x=(1)'] }, 'https://a.test/b/c.html?x=(1)', undefined],
    [{ exclude: [/\.pdf$/g, '**/private/**'] }, 'https://a.test/b.pdf', 'pattern'],
    [{ exclude: [/\.pdf$/g, '**/private/**'] }, 'https://a.test/private/b', 'pattern'],
    [{ exclude: [/\.pdf$/g, '**/private/**'] }, 'https://a.test/public/b', undefined],
  ] as const)('%j: %s is refused by %s', (spec, url, refusal) => {
    const filter = linkFilter(spec)
    expect([filter(url, 'www.shop.test'), filter(url, 'www.shop.test')]).toEqual([refusal, refusal])
  })
})
