import { defineCrawl } from 'piko/crawl'
import { equal } from './finding.ts'
import type { Line } from './line.ts'

interface Options {
  readonly origin: string
}

const HEADERS = { 'x-one': '1', 'x-two': 'two words', accept: 'application/json' }
const BODY = '{"deep":{"é":[1,null,"ü"]},"n":12.5,"text":"line\\nline"}'
const DATA = { list: [1, 'zwei', null, { deep: [{}] }], text: '\u{1F600}' }

/** The steps answer to the site, so that the check needs no other way from the node. */
export const line: Line<Options> = {
  what: 'a follow arrives byte for byte, and the filter knows what is the same',
  crawl: ({ origin }) =>
    defineCrawl({
      id: 'requests',
      robots: false,
      limits: { private: true },
      seeds: [{ url: `${origin}/start`, step: 'start' }],
      steps: {
        start: (_page, ctx) => {
          const page = (url: string) => ({ url, step: 'page' }) as const
          const post = { ...page('/two-bodies'), method: 'POST' } as const
          ctx.follow({
            ...page('/api?b=2&a=1'),
            method: 'POST',
            headers: HEADERS,
            body: { json: JSON.parse(BODY) },
            data: DATA,
          })
          ctx.follow([page('/same?x=1&y=2#z'), page('/same?y=2&x=1')])
          ctx.follow([
            { ...post, body: 'one' },
            { ...post, body: 'two' },
          ])
          ctx.follow([page('/again'), { ...page('/again'), dedup: false }])
          ctx.follow([page('/target'), page('/moved')])
        },
        page: async (page, ctx) => {
          if (ctx.data !== undefined) await fetch(`${origin}/data`, { method: 'POST', body: JSON.stringify(ctx.data) })
          if (new URL(page.url).pathname === '/target') await fetch(`${origin}/parsed`, { method: 'POST' })
        },
      },
    }),
  async check(scene) {
    const site = await scene.site(({ path }) => (path === '/moved' ? { redirect: '/target' } : { body: 'ok' }))
    const options = { origin: site.origin }
    const app = await scene.client(options)
    await scene.nodes(2, options)
    const runId = await app.enqueue('requests')
    const run = await app.waitFor(runId)
    const { done, dead, duplicates } = await app.items.status(runId)
    const of = (path: string) => site.requests.filter((request) => request.path === path)
    const [sent] = of('/api')
    const headers = Object.fromEntries(Object.keys(HEADERS).map((name) => [name, sent?.headers[name]]))
    return [
      equal('state, items done, dead, duplicates', [run.state, done, dead, duplicates], ['succeeded', 9, 0, 1]),
      equal('method and URL', [sent?.method, sent?.url], ['POST', '/api?b=2&a=1']),
      equal('headers', headers, HEADERS),
      equal('body', sent?.body, BODY),
      equal('data', of('/data')[0]?.body, JSON.stringify(DATA)),
      equal('requests for two spellings of a URL', of('/same').length, 1),
      equal('requests for two bodies', of('/two-bodies').length, 2),
      equal('requests with dedup: false', of('/again').length, 2),
      equal('steps called for a page and a redirect to it', of('/parsed').length, 2),
    ]
  },
}
