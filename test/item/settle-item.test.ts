import { expect, it } from 'vitest'
import { ItemError } from '../../src/item/item-error.ts'
import { settleFailure } from '../../src/item/settle-item.ts'

it('counts further classes as errors once an item has failed with many, so that changing texts use up a budget', () => {
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
