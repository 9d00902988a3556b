import { expect, it } from 'vitest'
import { defineCrawl } from '../../src/crawl/index.ts'
import { testCrawl } from '../../src/testing/index.ts'

it('given pages answer as a site does: redirects, classes of failures, bytes of their own', async () => {
  const classes: string[] = []
  const sizes: number[] = []
  const bytes = Buffer.from('same')
  let busy = 0
  const crawl = defineCrawl({
    id: 'shop',
    retry: { server: { limit: 1, base: '1ms' }, throttled: { limit: 1, base: '1ms' } },
    tolerate: { dead: 2 },
    use: [
      async (request, next) => {
        try {
          return await next(request)
        } catch (thrown) {
          classes.push(`${request.url.slice(16)} ${(thrown as { class: string }).class}`)
          throw thrown
        }
      },
    ],
    seeds: ['moved', 'busy', 'late', 'loop', 'one', 'two'].map((path) => `http://shop.test/${path}`),
    steps: {
      page: (page) => {
        sizes.push(page.bytes.byteLength)
        structuredClone(page.bytes, { transfer: [page.bytes.buffer as ArrayBuffer] })
      },
    },
  })
  const { items, requests } = await testCrawl(crawl, {
    pages: {
      'http://shop.test/moved': { status: 302, headers: { Location: '/one' } },
      'http://shop.test/busy': () => (busy++ === 0 ? { status: 503, headers: { 'Retry-After': '0' } } : 'free'),
      'http://shop.test/late': { status: 408 },
      'http://shop.test/loop': { status: 302, headers: { location: '/loop' } },
      'http://shop.test/one': { body: bytes },
      'http://shop.test/two': { body: bytes },
    },
  })
  const states = Object.fromEntries(items.map(({ request, state }) => [request.slice(21), state]))
  expect(states).toEqual({ moved: 'done', busy: 'done', late: 'dead', loop: 'dead', one: 'done', two: 'done' })
  expect(classes.toSorted()).toEqual(['/busy throttled', '/late server', '/late server', '/loop redirect'])
  expect(sizes).toEqual([4, 4, 4, 4])
  expect(requests.filter(({ url }) => url.endsWith('/one'))).toHaveLength(2)
})

it('returns the dead pages of a crawl that fails because of them, and rejects if the seeds fail', async () => {
  const crawl = (seeds: () => string[]) =>
    defineCrawl({ id: 'shop', retry: { seeds: 0 }, seeds, steps: { page: (page) => page.json() } })
  const pages = { 'http://shop.test/': 'no JSON', 'http://shop.test/json': '{}' }
  const { state, items } = await testCrawl(
    crawl(() => [...Object.keys(pages), 'http://shop.test/gone']),
    { pages },
  )
  const ends = items.map((item) => [item.request.slice(21), item.state, item.error])
  expect([state, ends.toSorted()]).toEqual([
    'failed',
    [
      ['', 'dead', 'the body of http://shop.test/ is not JSON'],
      ['gone', 'dead', 'GET http://shop.test/gone answered 404 Not Found'],
      ['json', 'done', undefined],
    ],
  ])
  const seedless = crawl(() => {
    throw new Error('no list today')
  })
  await expect(testCrawl(seedless, { pages })).rejects.toThrow('no list today')
})
