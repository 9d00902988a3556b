import { expect, it } from 'vitest'
import { isPikoError } from '../../src/errors.ts'
import { startApp } from '../support/app.ts'
import { describeSqlite } from '../support/databases.ts'
import { raise, throwingField, untouchable } from '../support/hostile.ts'

const NOUNS = [
  ...([
    'runs',
    'jobs',
    'schedules',
    'windows',
    'backfills',
    'batches',
    'items',
    'crawls',
    'configs',
    'limits',
  ] as const),
  ...(['locks', 'nodes', 'sinks', 'notify', 'tokens', 'audit', 'cache', 'services', 'resources', 'shared'] as const),
]
/** Calls that return an iterator reject only when it is read. */
const ITERATED = /watch|follow|stream/

const ODD: readonly (readonly [string, () => unknown])[] = [
  ['a symbol', () => Symbol('odd')],
  ['a function', () => () => {}],
  ['an object without a prototype', () => Object.create(null) as unknown],
  ['a proxy that throws', () => untouchable()],
  ['an object whose conversion throws', () => ({ toString: () => raise(untouchable()) })],
  ['an error whose message throws', () => throwingField('message')],
]

describeSqlite((store) => {
  it('no call answers an odd argument with an error without a code', async () => {
    const app = await startApp(store.options, [])
    const raw: unknown[] = []
    for (const noun of NOUNS) {
      const of = app[noun] as object
      const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(of)).filter((name) => !ITERATED.test(name))
      for (const method of methods) {
        const call: unknown = Reflect.get(of, method)
        if (method === 'constructor' || typeof call !== 'function') continue
        for (const [what, make] of ODD) {
          try {
            await (Reflect.apply(call, of, [make(), make()]) as unknown)
          } catch (error) {
            if (!isPikoError(error)) raw.push(`${noun}.${method} with ${what}`)
          }
        }
      }
    }
    expect(raw).toEqual([])
    expect(() => app.as({ name: 'anna' }, Symbol('odd') as never)).toThrow(
      'app.as got Symbol(odd) as its second argument; expected a function',
    )
  })
})
