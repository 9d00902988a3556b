import { Readable } from 'node:stream'
import { answer, defineRoutes, type Link, type Routes } from 'piko/link'
import { describe, expect, it, onTestFinished } from 'vitest'
import { linked } from './support.ts'

const nothing = (): void => {}
const SILENT = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }

function routes(): Routes {
  const failing = defineRoutes({
    prefix: '/failing',
    onError: () => ({ status: 429, body: 'busy', headers: { 'retry-after': 5, 'x-list': undefined } }),
  }).on('/one', () => {
    throw new Error('busy')
  })
  return defineRoutes()
    .on('/echo', ({ body, meta }) => meta ?? body)
    .on('/slow', ({ signal }) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())))
    .on('/with', ({ body }) => answer(200, 'good', (body as { headers: never }).headers))
    .on('/wrong', ({ body }) => answer(200, 'good', { n: body === 'list' ? [] : 1n } as never))
    .on('/list', () => answer(200, 'good', ['a'] as never))
    .on('/map', () => answer(200, 'good', new Map([['a', 'b']]) as never))
    .on('/large', () => answer(200, Readable.from(['x']), { large: 'x'.repeat(70_000) }))
    .mount(failing)
}

/** A link with a call in progress, which must not notice the mistakes of others. */
async function busy(
  options: object = {},
): Promise<{ readonly link: Link; readonly isUndisturbed: () => Promise<void> }> {
  const link = await linked(routes(), { log: SILENT, ...options })
  const aborter = new AbortController()
  const slow = link.call('/slow', undefined, { signal: aborter.signal })
  let failure: unknown
  slow.catch((error: unknown) => void (failure = error))
  onTestFinished(() => aborter.abort())
  return {
    link,
    isUndisturbed: async () => {
      expect(await link.call('/echo', 1)).toBe(1)
      expect([failure, link.state, link.stats().open]).toEqual([undefined, 'up', 1])
    },
  }
}

const FAILED = { code: 'LINK_FAILED', details: { status: 500, body: { code: 'INTERNAL' } } }

describe('a wrong answer of a handler', () => {
  it('fails alone: headers are strings, and what can not be one is refused', async () => {
    const { link, isUndisturbed } = await busy()
    await expect(link.call('/failing/one')).rejects.toMatchObject({ details: { status: 429, body: 'busy' } })
    expect(await link.call('/with', { headers: { a: 5, b: true, c: 'text' } })).toBe('good')
    for (const route of ['/wrong', '/list', '/map']) await expect(link.call(route)).rejects.toMatchObject(FAILED)
    await expect(link.call('/with', { headers: { a: null, b: {} } })).rejects.toMatchObject(FAILED)
    expect(() => answer(200, 1, { a: {}, b: [] } as never)).toThrow(
      'the header "a" of an answer is {}; expected a string; the header "b" of an answer is []; expected a string',
    )
    expect(answer(200, 1, { a: 5, b: undefined }).headers).toEqual({ a: '5' })
    await isUndisturbed()
  })

  it('whose head is too large reaches the caller as an error', async () => {
    const { link, isUndisturbed } = await busy()
    await expect(link.call('/large', undefined, { timeout: '5s' })).rejects.toMatchObject(FAILED)
    await expect(
      link.call('/with', { headers: { large: 'x'.repeat(66_000) } }, { timeout: '5s' }),
    ).rejects.toMatchObject(FAILED)
    await isUndisturbed()
  })
})

describe('a wrong call', () => {
  it('whose meta can not be sent uses no place, and says which part is wrong', async () => {
    const { link, isUndisturbed } = await busy({ maxOpen: 3 })
    const circle: Record<string, unknown> = {}
    circle['inner'] = { circle }
    for (const [meta, why] of [
      ['x'.repeat(70_000), 'headers and meta may have 65536 bytes together'],
      [{ a: [1, { b: 2n }] }, "the meta can't be sent, because JSON can't represent it: meta.a[1].b is the BigInt 2"],
      [circle, 'meta.inner.circle refers to an object that contains it'],
    ] as const) {
      const refused = { code: 'USAGE', message: expect.stringContaining(why) as unknown }
      for (let at = 0; at < 4; at++) await expect(link.call('/echo', 0, { meta })).rejects.toMatchObject(refused)
    }
    await expect(link.call('/echo', { n: [1n] })).rejects.toThrow('body.n[0] is the BigInt 1')
    expect(await link.call('/echo', 0, { meta: { fine: true } })).toEqual({ fine: true })
    await isUndisturbed()
  })

  it('is refused before anything is sent: route, headers, event and bytes', async () => {
    const { link, isUndisturbed } = await busy()
    const USAGE = { code: 'USAGE' }
    const { sentMessages } = link.stats()
    for (const route of [undefined, 5, null, 'x'.repeat(1_025), ['/echo']] as never[]) {
      await expect(link.call(route)).rejects.toMatchObject(USAGE)
      await expect(link.send(route, Buffer.from('x'))).rejects.toMatchObject(USAGE)
      await expect(link.open(route)).rejects.toMatchObject(USAGE)
      await expect(link.stream(route).next()).rejects.toMatchObject(USAGE)
      await expect(link.emit(route)).rejects.toMatchObject(USAGE)
    }
    await expect(link.call('x'.repeat(1_025), 0, { level: 7 } as never)).rejects.toMatchObject({
      details: {
        problems: [expect.stringContaining('expected a string of at most 1024'), expect.stringContaining('level')],
      },
    })
    for (const source of [5, null, undefined, {}] as never[])
      await expect(link.send('/echo', source)).rejects.toMatchObject(USAGE)
    for (const headers of [['a'], new Map([['a', 'b']]), { a: 5 }] as never[])
      await expect(link.call('/echo', 0, { headers })).rejects.toMatchObject(USAGE)
    await expect(link.emit('price', 1, { level: 9 } as never)).rejects.toMatchObject(USAGE)
    await expect(link.emit('price', 1n)).rejects.toMatchObject(USAGE)
    expect(link.stats().sentMessages).toBe(sentMessages)
    await expect(link.call('x'.repeat(1_024))).rejects.toMatchObject({ code: 'LINK_NO_ROUTE' })
    for (const route of ['', '%', '/%zz', '\u0000'])
      await expect(link.call(route)).rejects.toMatchObject({ code: 'LINK_NO_ROUTE' })
    await isUndisturbed()
  })
})
