import { get } from 'node:http'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import type { Piko } from '../../../src/app/piko.ts'
import { createClient, type LiveEvent, type LiveSignal } from '../../../src/client/index.ts'
import { HttpService } from '../../../src/http/http-service.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import type { JobDefinition } from '../../../src/job/spec.ts'
import { eventually, Gate, makeApp } from '../../support/app.ts'
import { describeEachStore, type TestStore } from '../../support/databases.ts'

const work = defineJob({ id: 'work', retry: { limit: 0 } }, ({ input }) => {
  if (input === 'fail') throw new Error('no shop "eu"')
})
const other = defineJob({ id: 'other' }, () => {})

async function serve(store: TestStore, more: readonly JobDefinition[] = []): Promise<{ app: Piko; url: string }> {
  const app = makeApp(store.options, [work, other, ...more])
  const http = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
  await app.start()
  return { app, url: http.url ?? '' }
}

type Item = LiveEvent | LiveSignal

const isEvent = (item: Item): item is LiveEvent => 'at' in item

/** Reads until `isLast`, from a reader of its own. */
async function readUntil(items: AsyncIterable<Item>, isLast: (seen: readonly Item[]) => boolean): Promise<Item[]> {
  const seen: Item[] = []
  for await (const item of items) {
    seen.push(item)
    if (isLast(seen)) return seen
  }
  return seen
}

describeEachStore((store) => {
  it('a client sees each change once and in order, also after its connection was lost', async () => {
    const { app, url } = await serve(store)
    const client = createClient({ url })
    const opened = Promise.withResolvers<void>()
    const states = (seen: readonly Item[]): string[] =>
      seen.flatMap((item) => (isEvent(item) && item.kind === 'run' ? `${item.jobId} ${item.state}` : []))
    const first = readUntil(client.events({ jobs: ['work'] }), (seen) => {
      if (seen.length === 1) opened.resolve()
      return states(seen).includes('work failed')
    })
    await opened.promise
    await app.run('other', { wait: true })
    await app.run('work', { wait: true })
    await app.run('work', { input: 'fail', wait: true }).catch(() => {})
    const seen = await first
    expect(seen[0]).toMatchObject({ kind: 'open' })
    expect(states(seen).sort()).toEqual(
      expect.arrayContaining(['work failed', 'work running', 'work running', 'work succeeded']),
    )
    expect(states(seen).some((state) => state.startsWith('other'))).toBe(false)
    expect(seen.findLast(isEvent)).toMatchObject({ error: 'no shop "eu"' })
    // While nobody is connected, events are still stored.
    const after = seen.at(-1)!.id
    for (let index = 0; index < 3; index++) await app.run('work', { wait: true })
    const isDone = (items: readonly Item[]): boolean =>
      states(items).filter((one) => one === 'work succeeded').length >= 3
    const streamed = await readUntil(client.events({ jobs: ['work'], after }), isDone)
    const paged = await readUntil(client.events({ jobs: ['work'], after, pollMs: 20 }), isDone)
    expect(streamed.filter(isEvent)).toEqual(paged.filter(isEvent))
    const ids = [...seen, ...streamed].filter(isEvent).map(({ id }) => id)
    expect(ids).toEqual([...new Set(ids)].sort((one, next) => one - next))
    const page = await client.live.page({ after, kinds: ['run'], jobs: ['work'] })
    expect(page.items.slice(0, 3)).toEqual(streamed.filter(isEvent).slice(0, 3))
  })

  it('says that events are missing, and continues', async () => {
    const { app, url } = await serve(store)
    const stop = new AbortController()
    const items = createClient({ url }).events({ after: 0, signal: stop.signal })
    const seen = await readUntil(items, (all) => {
      if (all.length === 2) void app.run('other')
      return all.some((item) => item.kind === 'run')
    })
    expect(seen.map(({ kind }) => kind).slice(0, 2)).toEqual(['open', 'span_exceeded'])
    expect(seen[1]).toMatchObject({ after: 0, id: seen[0]!.id })
    await expect(createClient({ url }).live.page({ after: 0 })).resolves.toMatchObject({ items: [], isExceeded: true })
  })

  it('refuses wrong requests with a problem, and does not try again', async () => {
    const { url } = await serve(store)
    for (const query of ['kinds=nothing', 'after=x', 'speed=1', 'after=1&after=2']) {
      const response = await fetch(`${url}/api/v1/events?${query}`)
      expect([query, response.status, await response.json()]).toMatchObject([query, 400, { code: 'REQUEST_INVALID' }])
    }
    const wrong = createClient({ url }).events({ kinds: ['nothing' as 'run'] })
    await expect(wrong.next()).rejects.toMatchObject({ name: 'PikoError', code: 'REQUEST_INVALID', status: 400 })
    await expect(createClient({ url }).runs.show({ runId: 999_999 })).rejects.toMatchObject({
      code: 'RUN_UNKNOWN',
      status: 404,
    })
    await expect(createClient({ url: 'http://127.0.0.1:9' }).jobs.list()).rejects.toMatchObject({ code: 'UNREACHABLE' })
  })

  it('a client follows a run: each line once, although a connection is lost, and the state at its end', async () => {
    const said = new Gate()
    const talker = defineJob({ id: 'talker' }, async (ctx) => {
      ctx.log.info('one')
      ctx.progress(1, 2)
      await said.pass()
      ctx.log.warn('two')
    })
    const { app, url } = await serve(store, [talker])
    let connections = 0
    // The first connection breaks after the first line.
    const breaking: typeof fetch = async (input, init) => {
      const response = await fetch(input, init)
      if (typeof input !== 'string' || !input.includes('/follow') || ++connections > 1) return response
      const reader: ReadableStreamDefaultReader<Uint8Array> = response.body!.getReader()
      let text = ''
      const body = new ReadableStream({
        pull: async (controller) => {
          if (text.includes('event: line')) return controller.error(new Error('cut'))
          const { value } = await reader.read()
          text += Buffer.from(value ?? []).toString()
          controller.enqueue(value)
        },
      })
      return new Response(body, { status: response.status, headers: response.headers })
    }
    const lost: string[] = []
    const client = createClient({ url, fetch: breaking })
    const run = await app.run('talker')
    const seen: string[] = []
    for await (const news of client.runs.follow({ runId: run.id, onDisconnect: ({ code }) => lost.push(code) })) {
      if (news.kind === 'line') seen.push(news.line.message)
      else if (news.kind === 'state') seen.push(news.state)
      else seen.push(`${news.progress.done} of ${news.progress.total}`)
      if (news.kind === 'line' && news.line.message === 'one') said.open()
    }
    expect(lost).toEqual(['UNREACHABLE'])
    expect(seen.filter((text) => text === 'one' || text === 'two')).toEqual(['one', 'two'])
    expect(seen).toContain('1 of 2')
    expect(seen.at(-1)).toBe('succeeded')
    const warnings = []
    for await (const news of client.runs.follow({ runId: run.id, level: 'warn' })) warnings.push(news.kind)
    expect(warnings).toEqual(['line', 'progress', 'state'])
    await expect(client.runs.follow({ runId: 999_999 }).next()).rejects.toMatchObject({
      code: 'RUN_UNKNOWN',
      status: 404,
    })
    for (const query of ['level=loud', 'after=x', 'speed=1']) {
      const response = await fetch(`${url}/api/v1/runs/${run.id}/follow?${query}`)
      expect([query, response.status, await response.json()]).toMatchObject([query, 400, { code: 'REQUEST_INVALID' }])
    }
  })

  it('ends its streams when the app stops', async () => {
    const { app, url } = await serve(store)
    const request = get(`${url}/api/v1/events`)
    const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream]
    let text = ''
    response.on('data', (chunk: Buffer) => (text += chunk.toString()))
    const ended = once(response, 'close')
    await eventually(() => expect(text).toContain('event: open'))
    const id = await app.enqueue('work', { runAt: new Date('2100-01-01T00:00:00Z') })
    const news = await fetch(`${url}/api/v1/runs/${id}/follow`)
    await app.stop()
    await Promise.all([ended, news.text()])
  })
})
