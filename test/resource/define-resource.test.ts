import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/job/define-job.ts'
import { defineResource } from '../../src/resource/define-resource.ts'
import { ResourcePool } from '../../src/resource/resource-pool.ts'
import { type BorrowedOf, Resource, type ResourceClass, type ResourceContext } from '../../src/resource/resource.ts'
import { eventually } from '../support/app.ts'
import { resourceContext } from './resource-context.ts'

interface Pool {
  readonly url: string
}
interface Connection {
  query(sql: string): Promise<string[]>
}

describe('defineResource', () => {
  it('creates a Resource class with its name and size', () => {
    const Db = defineResource({
      name: 'db',
      size: 3,
      acquire: async function* () {
        yield 1
      },
    })
    expect(Db.name).toBe('db')
    expect(Db.size).toBe(3)
    expect(new Db()).toBeInstanceOf(Resource)
    const free = defineResource({
      name: 'free',
      acquire: async function* () {
        yield 1
      },
    })
    expect(free.size).toBe(Infinity)
  })

  it('opens once, on first use, and passes the opened value to acquire, check and close', async () => {
    const calls: string[] = []
    const Db = defineResource({
      name: 'db',
      open: async () => {
        calls.push('open')
        return { url: 'db://1' }
      },
      acquire: async function* (ctx, pool) {
        calls.push(`acquire ${pool.url} for run ${ctx.runId}`)
        yield pool
      },
      check: async (pool) => void calls.push(`check ${pool.url}`),
      close: async (pool) => void calls.push(`close ${pool.url}`),
    })
    const pool = new ResourcePool()
    expect(calls).toEqual([])
    const borrowed = await Promise.all([
      pool.borrow({ db: Db }, resourceContext({ runId: 1 })),
      pool.borrow({ db: Db }, resourceContext({ runId: 2 })),
    ])
    await pool.check()
    for (const { release } of borrowed) await release({ ok: true })
    await pool.close()
    expect(calls).toEqual([
      'open',
      'acquire db://1 for run 1',
      'acquire db://1 for run 2',
      'check db://1',
      'close db://1',
    ])
  })

  it('opens again for the next run after a failure, and never closes what never opened', async () => {
    let tries = 0
    let closed = 0
    const Db = defineResource({
      name: 'db',
      open: () => {
        tries++
        if (tries < 3) throw new Error('refused')
        return tries
      },
      acquire: async function* (_ctx, opened) {
        yield opened
      },
      close: async () => void closed++,
    })
    const unopened = new ResourcePool()
    await expect(unopened.borrow({ db: Db }, resourceContext())).rejects.toThrow('refused')
    await unopened.close()
    expect(closed).toBe(0)

    const pool = new ResourcePool()
    await expect(pool.borrow({ db: Db }, resourceContext())).rejects.toMatchObject({
      code: 'RESOURCE_FAILED',
      message: 'resource db could not be opened: refused',
    })
    const { values, release } = await pool.borrow({ db: Db }, resourceContext())
    expect(values).toEqual({ db: 3 })
    await release({ ok: true })
  })

  it('closes nothing when the open fails during a stop', async () => {
    let refuse = (_error: Error): void => {}
    const opening = new Promise<never>((_resolve, reject) => (refuse = reject))
    let [opens, closed] = [0, 0]
    const Db = defineResource({
      name: 'db',
      open: () => {
        opens += 1
        return opening
      },
      acquire: async function* (_ctx, opened) {
        yield opened
      },
      close: () => void closed++,
    })
    const pool = new ResourcePool()
    const acquiring = pool.borrow({ db: Db }, resourceContext())
    await eventually(() => expect(opens).toBe(1))
    const closing = pool.close()
    refuse(new Error('refused'))
    await expect(acquiring).rejects.toMatchObject({ code: 'STOPPED' })
    await closing
    expect(closed).toBe(0)
  })

  it('shows the generator how the run ended', async () => {
    const ends: string[] = []
    const Transaction = defineResource({
      name: 'trx',
      acquire: async function* () {
        try {
          yield 'trx'
          ends.push('commit')
        } catch (error) {
          ends.push(`rollback: ${(error as Error).message}`)
          throw error
        }
      },
    })
    const pool = new ResourcePool()
    await (await pool.borrow({ trx: Transaction }, resourceContext())).release({ ok: true })
    await (
      await pool.borrow({ trx: Transaction }, resourceContext())
    ).release({ ok: false, error: new Error('no rows') })
    expect(ends).toEqual(['commit', 'rollback: no rows'])
  })

  it.each([
    [{ name: '' }, 'resource : name is ""; expected a string'],
    [{ name: 'db', acquire: 1 }, 'resource db: acquire is 1; expected an async generator function'],
    [{ name: 'db', size: 0 }, 'resource db: size is 0; expected a whole number from 1, or Infinity'],
    [{ name: 'db', size: 1.5 }, 'size is 1.5'],
    [{ name: 'db', size: '5' }, 'size is "5"'],
  ])('refuses %o', (wrong, message) => {
    const definition = { acquire: async function* () {}, ...wrong } as unknown as Parameters<typeof defineResource>[0]
    expect(() => defineResource(definition)).toThrow(message)
  })

  it('infers the borrowed and the opened value', () => {
    const Db = defineResource({
      name: 'db',
      open: async (): Promise<Pool> => ({ url: 'db://1' }),
      acquire: async function* (ctx, pool) {
        expectTypeOf(ctx).toEqualTypeOf<ResourceContext>()
        expectTypeOf(pool).toEqualTypeOf<Pool>()
        yield { query: async (sql: string) => [sql, pool.url] } satisfies Connection
      },
      close: async (pool) => expectTypeOf(pool).toEqualTypeOf<Pool>(),
    })
    const Token = defineResource({
      name: 'token',
      acquire: async function* (ctx, opened) {
        expectTypeOf(opened).toEqualTypeOf<undefined>()
        yield String(ctx.runId)
      },
    })
    class Http extends Resource<URL> {
      async *acquire(): AsyncGenerator<URL, void, void> {
        yield new URL('https://example.org')
      }
    }
    expectTypeOf(Token).toEqualTypeOf<ResourceClass<string>>()
    expectTypeOf<BorrowedOf<{ token: typeof Token; http: typeof Http }>>().toEqualTypeOf<{
      readonly token: string
      readonly http: URL
    }>()
    defineJob(
      { id: 'j', config: z.object({ n: z.number() }), resources: { db: Db, http: Http } },
      async (ctx, { db, http }) => {
        expectTypeOf(ctx.resources.db.query).toEqualTypeOf<(sql: string) => Promise<string[]>>()
        expectTypeOf(db).toEqualTypeOf(ctx.resources.db)
        expectTypeOf(http).toEqualTypeOf<URL>()
        // @ts-expect-error no such resource was declared
        void ctx.resources.cache
      },
    )
    // @ts-expect-error not a Resource class
    defineJob({ id: 'k', resources: { db: URL } }, async () => {})
  })
})
