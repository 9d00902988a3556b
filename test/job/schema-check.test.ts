import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import { checkedBy } from '../../src/job/schemas/schema-check.ts'
import { parseConfig } from '../../src/job/schemas/run-config.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { checkRows } from '../../src/sink/check-rows.ts'
import { describeEachStore } from '../support/databases.ts'
import { startApp } from '../support/app.ts'
import { thrown } from '../support/thrown.ts'

const unhandled: unknown[] = []
const onUnhandled = (reason: unknown): void => void unhandled.push(reason)
beforeEach(() => {
  unhandled.length = 0
  process.on('unhandledRejection', onUnhandled)
})
afterEach(async () => {
  await nextTurn()
  process.off('unhandledRejection', onUnhandled)
  expect(unhandled).toEqual([])
})

const failing = async (): Promise<never> => {
  await nextTurn()
  throw new Error('the shop is closed')
}
const name = z.string().refine(failing)
const now = z.string().refine(() => Promise.reject(new Error('at once')))

/** Places of a rejecting promise in a schema, with the path that the error must name. */
const SCHEMAS: readonly (readonly [what: string, schema: z.ZodType, config: unknown, path: string])[] = [
  ['a field', z.object({ shop: z.object({ name }) }), { shop: { name: 'eu' } }, 'shop.name'],
  ['one that rejects at once', z.object({ name: now }), { name: 'eu' }, 'name'],
  ['several of a field', z.object({ name: now.refine(failing).refine(failing) }), { name: 'eu' }, 'name'],
  ['several fields', z.object({ a: z.string(), b: name, c: now }), { a: 'a', b: 'b', c: 'c' }, 'b'],
  ['an element', z.object({ shops: z.array(name) }), { shops: ['eu'] }, 'shops.0'],
  ['a place of a tuple', z.object({ pair: z.tuple([z.number(), name]) }), { pair: [1, 'eu'] }, 'pair.1'],
  ['a value of a record', z.record(z.string(), name), { eu: 'eu' }, 'eu'],
  ['an optional field', z.object({ name: name.optional() }), { name: 'eu' }, 'name'],
  ['a default', z.object({ name: name.default('eu') }), { name: 'eu' }, 'name'],
  [
    'a member of a union',
    z.object({ id: z.union([z.object({ name }), z.number()]) }),
    { id: { name: 'x' } },
    'id.name',
  ],
  [
    'a side of an intersection',
    z.intersection(z.object({ a: z.string() }), z.object({ name })),
    { a: '', name: '' },
    'name',
  ],
  ['a lazy schema', z.object({ name: z.lazy(() => name) }), { name: 'eu' }, 'name'],
  ['a transform', z.object({ name: z.string().transform(failing) }), { name: 'eu' }, 'name'],
  ['a preprocess', z.object({ name: z.preprocess(failing, z.string()) }), { name: 'eu' }, 'name'],
  ['a check of all', z.object({ name: z.string() }).superRefine(failing), { name: 'eu' }, 'config'],
]

it.each(SCHEMAS)(
  'a config is refused by %s whose promise rejects, and no rejection stays unhandled',
  (_what, config, value, path) => {
    const error = thrown(() =>
      parseConfig(
        defineJob({ id: 'sync', config }, () => undefined),
        value,
      ),
    )
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toContain('of job "sync" does not match its schema: ')
    expect(error.message).toContain(`${path}: the schema has an asynchronous refinement or transform here`)
  },
)

it('a promise in place of a value is not an unhandled rejection either', () => {
  const schema = z.object({ name: z.string().default(failing as never) })
  expect(checkedBy(schema, {})).toMatchObject({ issues: [{ path: ['name'] }] })
})

it('a schema from another library is called in the same way', () => {
  const own = (safeParse: () => unknown): object => ({ safeParse })
  expect(checkedBy(own(failing), {}).issues?.[0]?.message).toContain('returned a promise')
  const lost = (): never => {
    void failing()
    throw new Error('no')
  }
  expect(checkedBy(own(lost), {}).issues?.[0]?.message).toBe('the schema throws here: no')
})

it('rows of a sink are refused when their model rejects', () => {
  const model = z.object({ name })
  const error = thrown(() => checkRows('orders', { model, modelName: 'Order', method: 'on0' }, [{ name: 'a' }]))
  expect([error.code, error.message]).toEqual([
    'SINK_ROW_INVALID',
    expect.stringContaining('sink orders: row 0 of Order'),
  ])
})

it('a promise from a schema that accepts belongs to its creator', async () => {
  const kept: Promise<unknown>[] = []
  const schema = z.string().refine(() => kept.push(failing()) > 0)
  expect(checkedBy(schema, 'eu')).toEqual({ data: 'eu' })
  await expect(kept[0]).rejects.toThrow('the shop is closed')
})

describeEachStore((store) => {
  it('a run whose schema became asynchronous fails with CONFIG_INVALID, and its node continues', async () => {
    const asking = await startApp(
      store.options,
      defineJob({ id: 'sync', config: z.object({ name: z.string() }) }, () => 1),
      {
        execute: false,
      },
    )
    const id = await asking.enqueue('sync', { config: { name: 'eu' } })
    const jobs = [
      defineJob({ id: 'sync', config: z.object({ name }) }, () => 1),
      defineJob({ id: 'other' }, () => 'still here'),
    ]
    const app = await startApp(store.options, jobs)
    const { state, error } = await app.waitFor(id)
    expect([state, error?.code]).toEqual(['failed', 'CONFIG_INVALID'])
    expect(error?.message).toContain('name: the schema has an asynchronous')
    expect(await app.run('other', { wait: true })).toMatchObject({ output: 'still here' })
  })
})
