import { expect, it } from 'vitest'
import { StoredPrints } from '../../../src/engine/items/stored-prints.ts'

const item = (print: string, more: object = {}) => ({ fence: 1, scope: 1, print, maxItems: undefined, ...more })

it('remembers items that are unique within their run, and no others', () => {
  const prints = new StoredPrints()
  prints.add([item('a'), item('job', { scope: 0 }), item('limited', { maxItems: 10 })])
  expect(prints.has(item('a'))).toBe(true)
  expect(prints.has(item('a', { fence: 2, scope: 2 }))).toBe(false)
  expect(prints.has(item('a', { scope: 0 }))).toBe(false)
  expect(prints.has(item('job', { scope: 0 }))).toBe(false)
  expect(prints.has(item('limited'))).toBe(false)
  prints.clear()
  expect(prints.has(item('a'))).toBe(false)
})

it('forgets the oldest items when there are many', () => {
  const prints = new StoredPrints()
  const many = Array.from({ length: 110_000 }, (_, n) => item(`print ${n}`))
  prints.add(many)
  expect(many.filter((one) => prints.has(one))).toHaveLength(60_000)
  expect(prints.has(item('print 0'))).toBe(false)
  expect(prints.has(item('print 109999'))).toBe(true)
})
