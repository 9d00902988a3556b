import { expect, it } from 'vitest'
import { PikoError } from '../../src/errors.ts'
import { ItemError } from '../../src/item/item-error.ts'
import { renewedTries } from '../../src/item/budget.ts'
import { settleFailure } from '../../src/item/settle-item.ts'

it('counts further classes as errors once an item has failed with many, so that changing strings use up a budget', () => {
  let tries: Readonly<Record<string, number>> = {}
  let failures = 0
  for (let delayMs: number | undefined = 0; delayMs !== undefined && failures < 100;) {
    const failure = settleFailure(
      new ItemError('no', { class: `${failures} ${'x'.repeat(99)}` }),
      tries,
      new Map(),
      0,
      0,
    )
    failures += 1
    ;({ tries, delayMs } = failure)
  }
  expect([failures, tries['error']]).toEqual([54, 4])
  expect(Math.max(...Object.keys(tries).map((name) => name.length))).toBe(64)
})

it('ends an item at its first try if no retry can heal the error, unless its kind sets tries for that', () => {
  const broken = new PikoError('SINK_TABLE_INVALID', 'table pages: no column url')
  const failed = new PikoError('SINK_FAILED', 'sink pages could not deliver', { cause: broken })
  const missing = new PikoError('PACKAGE_MISSING', 'browser() needs the package playwright-core')
  for (const error of [failed, missing, new Error('a page', { cause: missing })]) {
    expect(settleFailure(error, {}, new Map(), 0, 0)).toMatchObject({ class: 'setup', delayMs: undefined })
  }
  const outage = new PikoError('SINK_FAILED', 'sink pages could not deliver', { cause: new Error('ECONNREFUSED') })
  expect(settleFailure(outage, {}, new Map(), 0, 0)).toMatchObject({ class: 'sink', delayMs: 500 })
  const once = { limit: 1, baseMs: 100, maxMs: 100, breaker: false, renew: true }
  expect(settleFailure(failed, {}, new Map([['setup', once]]), 0, 0).delayMs).toBe(50)
  // The function of the item knows better.
  const own = new ItemError('try again', { class: 'network', cause: missing })
  expect(settleFailure(own, {}, new Map(), 0, 0)).toMatchObject({ class: 'network', delayMs: 500 })
  const named = new ItemError('a class of the user', { class: 'setup' })
  expect(settleFailure(named, {}, new Map(), 0, 0)).toMatchObject({ class: 'setup', delayMs: 500 })
})

it('counts tries anew after a checkpoint, except those of a class that says otherwise', () => {
  const once = { limit: 1, baseMs: 100, maxMs: 100, breaker: false, renew: false }
  expect(renewedTries({ network: 5, parse: 1, other: 2 }, new Map([['parse', once]]))).toEqual({ parse: 1 })
  expect(renewedTries({ parse: 1, other: 2 }, new Map([['*', once]]))).toEqual({ parse: 1, other: 2 })
})
