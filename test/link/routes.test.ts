import { defineRoutes, answer, linkOf, type RouteRequest } from 'piko/link'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { Emitter } from '../../src/emitter.ts'
import { line } from './lines.ts'
import { linked } from './support.ts'

describe('routes', () => {
  it('a fallback covers a prefix with a parameter, also a nested one', async () => {
    const inner = defineRoutes({ prefix: '/orders', fallback: ({ path }) => `orders: ${path}` }).on('/all', () => 'all')
    const users = defineRoutes({ prefix: '/user/:id', fallback: ({ path }) => `user: ${path}` }).mount(inner)
    const link = await linked(users)
    const paths = ['/user/7/orders/all', '/user/7/orders/x', '/user/7/x', '/user/7']
    expect(await Promise.all(paths.map((path) => link.call(path)))).toEqual([
      'all',
      'orders: /user/7/orders/x',
      'user: /user/7/x',
      'user: /user/7',
    ])
    await expect(link.call('/user')).rejects.toMatchObject({ code: 'LINK_NO_ROUTE' })
  })

  it('nest: prefixes join, middleware wraps, and the nearest onError answers', async () => {
    const order: string[] = []
    const around = (name: string) => async (_request: RouteRequest, next: () => Promise<unknown>) => {
      order.push(name)
      const result = await next()
      order.push(name)
      return result
    }
    const seen: string[] = []
    const inner = defineRoutes({
      prefix: '/inner',
      use: [around('inner')],
      onError: (error) => {
        seen.push(`inner ${(error as Error).message}`)
        return { status: 418, body: { problem: 'inner' } }
      },
    })
      .on('/one', () => {
        order.push('one')
        return 1
      })
      .on('/two', () => {
        order.push('two')
        return 2
      })
      .on('/fail', () => {
        throw new Error('of the handler')
      })
    const outer = defineRoutes({
      prefix: '/outer',
      use: [
        around('outer'),
        async ({ headers }, next) => {
          if (headers['bad']) throw new Error('of the middleware')
          return next()
        },
      ],
      onError: (error) => {
        seen.push(`outer ${(error as Error).message}`)
        return answer(409, { problem: 'outer' })
      },
    }).mount(inner)
    const link = await linked(outer)
    expect(await link.call('/outer/inner/one')).toBe(1)
    expect(await link.call('/outer/inner/two')).toBe(2)
    expect(order).toEqual(['outer', 'inner', 'one', 'inner', 'outer', 'outer', 'inner', 'two', 'inner', 'outer'])
    await expect(link.call('/outer/inner/fail')).rejects.toMatchObject({
      details: { status: 418, body: { problem: 'inner' } },
    })
    await expect(link.call('/outer/inner/one', 1, { headers: { bad: 'yes' } })).rejects.toMatchObject({
      details: { status: 409 },
    })
    expect(seen).toEqual(['inner of the handler', 'outer of the middleware'])
  })

  it('can be added and removed while a link is open, and have parameters, hooks and a fallback', async () => {
    const routes = defineRoutes({
      prefix: '/shop',
      before: [({ headers }) => (headers['early'] ? 'early' : undefined)],
      after: [(_request, result) => (result === 'plain' ? 'replaced' : undefined)],
      fallback: ({ path }) => answer(404, { code: 'MISSING', path }),
    }).on('/:item/price', ({ params }) => `price of ${params['item']}`)
    const link = await linked(routes)
    expect(await link.call('/shop/cup/price')).toBe('price of cup')
    await expect(link.call('/shop/plain')).rejects.toMatchObject({
      details: { body: { code: 'MISSING', path: '/shop/plain' } },
    })
    const more = defineRoutes().on('/plain', () => 'plain')
    routes.mount(more)
    expect(await link.call('/shop/plain')).toBe('replaced')
    expect(await link.call('/shop/plain', 0, { headers: { early: '1' } })).toBe('early')
    more.on('/late', () => 'late')
    expect(await link.call('/shop/late')).toBe('late')
    expect(routes.remove(more)).toBe(true)
    await expect(link.call('/shop/late')).rejects.toMatchObject({ code: 'LINK_FAILED' })
    await expect(link.call('/other')).rejects.toMatchObject({ code: 'LINK_NO_ROUTE' })
  })

  it('check what comes in and what goes out, and callers check what they get', async () => {
    const Out = z.object({ at: z.iso.datetime() })
    const link = await linked(
      defineRoutes()
        .on('/date', { in: z.object({ n: z.coerce.number() }), out: Out }, ({ body }) => ({
          at: body.n > 0 ? '2026-01-01T00:00:00Z' : 'never',
        }))
        .stream('/dates', { out: Out }, async function* () {
          yield { at: '2026-01-01T00:00:00Z' }
          yield { at: 'never' }
        })
        .upload('/up', { meta: z.object({ name: z.string() }), spool: 1_000 }, async ({ meta, stream }) => {
          let bytes = 0
          for await (const chunk of stream) bytes += (chunk as Buffer).length
          return { name: meta.name, bytes }
        }),
    )
    expect(await link.call('/date', { n: '1' }, { schema: Out })).toEqual({ at: '2026-01-01T00:00:00Z' })
    await expect(link.call('/date', {})).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    await expect(link.call('/date', { n: 0 })).rejects.toMatchObject({ code: 'LINK_FAILED', details: { status: 500 } })
    await expect(link.call('/date', { n: 1 }, { schema: z.number() })).rejects.toMatchObject({ code: 'OUTPUT_INVALID' })
    const got: unknown[] = []
    const reading = async (): Promise<void> => {
      for await (const item of link.stream('/dates', undefined, { schema: Out })) got.push(item)
    }
    await expect(reading()).rejects.toMatchObject({ code: 'LINK_FAILED', details: { body: { code: 'INTERNAL' } } })
    expect(got).toEqual([{ at: '2026-01-01T00:00:00Z' }])
    for (const bytes of [0, 900, 200_000])
      expect(await link.send('/up', Buffer.alloc(bytes), { meta: { name: 'x' } })).toEqual({ name: 'x', bytes })
    await expect(link.send('/up', Buffer.alloc(5))).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    const body = await link.open('/date', { n: 1 })
    await using file = await body.file()
    expect(file.bytes).toBe(29)
    expect(link.stats().open).toBe(0)
  })

  it('fail clearly if they are declared wrongly', () => {
    expect(() => defineRoutes({ prefix: 'user' })).toThrow(
      'defineRoutes: prefix is "user"; expected a path such as "/user"',
    )
    const routes = defineRoutes().on('/a', () => 1)
    expect(() => routes.on('/a', () => 2)).toThrow('has a route already; remove it first')
    expect(() => routes.on('b', () => 2)).toThrow('expected a string that begins with "/"')
    expect(() => routes.mount(routes)).toThrow('routes cannot contain themselves')
    expect(() => linkOf(line()[0], { role: 'dial', routes: [routes, defineRoutes().on('/a', () => 3)] })).toThrow(
      'two routes have the path "/a"',
    )
  })

  it('answer three kinds of failure with their codes', async () => {
    const routes = defineRoutes()
      .on('/throws', () => {
        throw new Error('a secret detail')
      })
      .on('/never', () => new Promise(() => {}))
    const link = await linked(routes, { log: SILENT })
    await expect(link.call('/none')).rejects.toMatchObject({ code: 'LINK_NO_ROUTE' })
    await expect(link.call('/never', 0, { timeout: '200ms' })).rejects.toMatchObject({ code: 'LINK_TIMEOUT' })
    const failed = link.call('/throws')
    await expect(failed).rejects.toMatchObject({
      code: 'LINK_FAILED',
      details: { status: 500, body: { code: 'INTERNAL' } },
    })
    await expect(failed).rejects.not.toThrow('secret')
  })
})

const nothing = (): void => {}
const SILENT = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing }

describe('events of users', () => {
  it('call a listener once, await async ones, and report those that fail', async () => {
    const failed: string[] = []
    const events = new Emitter<{ price: number }>((error, name) => failed.push(`${name}: ${(error as Error).message}`))
    const seen: string[] = []
    events.once('price', (price) => seen.push(`once ${price}`))
    events.on('price', async () => {
      throw new Error('broken')
    })
    const off = events.on('price', async (price) => {
      await Promise.resolve()
      seen.push(`on ${price}`)
    })
    await events.emit('price', 1)
    await events.emit('price', 2)
    expect(seen).toEqual(['once 1', 'on 1', 'on 2'])
    off()
    events.off('price')
    await events.emit('price', 3)
    expect([seen.length, failed]).toEqual([3, ['price: broken', 'price: broken']])
    const odd = new Emitter<{ a: number }>(() => {
      throw new Error('no log')
    })
    odd.on('a', () => Promise.reject(new Error('broken')))
    odd.on('a', (a) => seen.push(`other ${a}`))
    await odd.emit('a', 1)
    expect(seen.at(-1)).toBe('other 1')
  })

  it('that find too many unfinished listeners are dropped, which is reported once', async () => {
    const [one, other] = line()
    const told: string[] = []
    const log = { ...console, error: (fields: { err: Error }) => told.push(fields.err.message) } as never
    const link = linkOf(one, { role: 'dial' })
    const back = linkOf(other, { role: 'listen', maxOpen: 2, log, routes: [defineRoutes().on('/ping', () => 1)] })
    onTestFinished(() => Promise.all([link.close(), back.close()]).then(nothing))
    const seen: unknown[] = []
    back.events.on('slow', (n) => {
      seen.push(n)
      return new Promise(() => {})
    })
    for (let n = 0; n < 5; n++) await link.emit('slow', n)
    await link.call('/ping')
    expect(seen).toEqual([0, 1])
    expect(told).toEqual(['listeners of 2 events have not finished, so further events are dropped'])
  })

  it('cross a link in both directions, without those that only this end may emit', async () => {
    const [one, other] = line()
    const link = linkOf(one, { role: 'dial' })
    const back = linkOf(other, { role: 'listen' })
    onTestFinished(() => Promise.all([link.close(), back.close()]).then(nothing))
    const seen: unknown[] = []
    const last = Promise.withResolvers<unknown>()
    back.events.once('price', (price) => seen.push(['once', price]))
    back.events.on('price', (price) => seen.push(price))
    back.events.on('link.down', (price) => seen.push(['down', price]))
    link.events.on('end', last.resolve)
    back.events.on('end', (value) => back.emit('end', value))
    await link.emit('link.down', 'false')
    await link.emit('unheard', 'x')
    await link.emit('price', { eur: 1 })
    await link.emit('price', Buffer.from('raw'))
    await link.emit('end', 'over')
    expect(await last.promise).toBe('over')
    expect(seen).toEqual([['once', { eur: 1 }], { eur: 1 }, Buffer.from('raw')])
  })
})
