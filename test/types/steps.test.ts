import { describe, expectTypeOf, it } from 'vitest'
import { defineJob, type SqlExecutor, type StepScope } from '../../src/index.ts'

describe('the types of steps', () => {
  it('are those of their functions', () => {
    defineJob({ id: 'a' }, async (ctx) => {
      expectTypeOf(await ctx.step('a', () => 1)).toEqualTypeOf<number>()
      expectTypeOf(await ctx.step('b', async (step) => expectTypeOf(step).toEqualTypeOf<StepScope>())).not.toBeAny()
      expectTypeOf(
        await ctx.step('c', (trx, { signal }) => [trx.dialect, signal.aborted], { transaction: true }),
      ).toEqualTypeOf<(boolean | 'mysql' | 'sqlite')[]>()
      await ctx.step('d', (trx) => expectTypeOf(trx).toEqualTypeOf<SqlExecutor>() && 1, { transaction: true })
      // @ts-expect-error without a transaction there is no trx
      await ctx.step('e', (trx: SqlExecutor) => trx.exec('SELECT 1'))
      // @ts-expect-error a misspelt option
      await ctx.step('f', () => 1, { tiemout: '1s' })
      const done = await ctx.stepMap('g', [{ id: 1 }], ({ id }) => id, { key: ({ id }) => id })
      expectTypeOf(done).toEqualTypeOf<PromiseSettledResult<number>[]>()
      await ctx.stepMap('h', ['eu', 'us'], (shop) => shop.length)
      // @ts-expect-error an object needs a key
      await ctx.stepMap('i', [{ id: 1 }], ({ id }) => id)
      const file = await ctx.until('j', (): string | false => 'a.csv', { every: '30s', for: '2h' })
      expectTypeOf(file).toEqualTypeOf<string>()
      // @ts-expect-error how often to look
      await ctx.until('k', () => true, {})
    })
  })
})
