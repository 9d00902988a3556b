import { expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

describeEachStore((fixture) => {
  it('lists what the limits of the fleet have counted, and forgets it on request', async () => {
    await fixture.open()
    const takes = defineJob({ id: 'takes' }, async (ctx) => {
      await ctx.limit('shop ', '3/h').take(2)
      await ctx.limit('mail', '1/h').take()
      return ctx.limit('mail', '1/h').tryTake()
    })
    const app = await startApp(fixture.options, takes)
    expect(await app.limits.list()).toEqual([])
    expect((await app.run(takes, { wait: true })).output).toBe(false)
    const listed = await app.limits.list()
    expect(listed.map(({ name, taken }) => [name, taken])).toEqual([
      ['mail', 1],
      ['shop ', 2],
    ])
    for (const { lastAt, expiresAt } of listed) expect(lastAt?.getTime()).toBeLessThan(expiresAt.getTime())
    expect(await app.limits.list({ limit: 1 })).toHaveLength(1)
    expect((await app.limits.list({ after: 'mail' })).map(({ name }) => name)).toEqual(['shop '])
    expect(await app.limits.list({ after: 'shop ' })).toEqual([])
    expect([await app.limits.reset('mail'), await app.limits.reset('mail'), await app.limits.reset('shop')]).toEqual([
      true,
      false,
      false,
    ])
    expect((await app.limits.list()).map(({ name }) => name)).toEqual(['shop '])
    expect(await rejected(app.limits.reset(''))).toMatchObject({ code: 'USAGE' })
  })
})
