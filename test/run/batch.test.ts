import { expect, it } from 'vitest'
import { batchEnd, durationsOf, FailureGroups } from '../../src/run/batch.ts'
import { slicesOf } from '../../src/store/batches/slices.ts'

it('a batch succeeds only if all its items have runs that succeeded', () => {
  const all = { state: 'running', stored: 3, total: 3 } as const
  const none = { failed: 0, cancelled: 0, deleted: 0 }
  expect(batchEnd({ ...all, state: 'cancelling' }, { ...none, failed: 3 })).toBe('cancelled')
  expect(batchEnd(all, { ...none, failed: 2, cancelled: 1 })).toBe('failed')
  expect(batchEnd(all, { ...none, cancelled: 1 })).toBe('cancelled')
  expect(batchEnd(all, { ...none, cancelled: 1, deleted: 1 })).toBe('failed')
  expect(batchEnd({ ...all, stored: 2 }, none)).toBe('cancelled')
  expect(batchEnd(all, none)).toBe('succeeded')
})

it('failures with the same words are one group, however many numbers differ', () => {
  const groups = new FailureGroups()
  const add = (id: number, message: string, code?: string): void =>
    groups.add({ id, item: id - 1, error: { name: 'Error', message, ...(code !== undefined && { code }) } })
  for (let id = 1; id <= 1_500; id++)
    add(id, `HTTP 500 for order ${id} at 10.0.0.${id % 200}:8080${id % 3 ? '' : ' (attempt 2)'}\nbody ${id}`, 'E_HTTP')
  add(1_501, 'no such shop')
  groups.add({ id: 1_502, item: 1_501, error: undefined })
  const [http, ...others] = groups.list
  expect(http).toMatchObject({
    ...{ error: 'Error: HTTP # for order # at #', code: 'E_HTTP', count: 1_500 },
    example: 'Error: HTTP 500 for order 1 at 10.0.0.1:8080\nbody 1',
  })
  expect([http?.runIds.length, http?.runIds[999], http?.items[0]]).toEqual([1_000, 1_000, 0])
  expect(others.map(({ error, count }) => [error, count])).toEqual([
    ['Error: no such shop', 1],
    ['no error is stored', 1],
  ])
  for (let id = 0; id < 300; id++) add(id, `word${String.fromCodePoint(0x4e00 + id)}`)
  expect(groups.list).toHaveLength(101)
  expect(groups.list.find(({ error }) => error === 'other errors')).toMatchObject({ count: 203 })
})

it('durations have their order statistics', () => {
  expect(durationsOf([])).toBeUndefined()
  expect(durationsOf(Array.from({ length: 100 }, (_, index) => 100 - index))).toEqual({
    ...{ count: 100, minMs: 1, meanMs: 51, p50Ms: 50, p95Ms: 95, maxMs: 100 },
  })
})

it('ids are slices of equal distances, whatever a server assigns', () => {
  const rebuilt = (ids: readonly number[]): number[] =>
    slicesOf(ids).flatMap(({ firstId, step, size }) =>
      Array.from({ length: size }, (_, index) => firstId + index * step),
    )
  const range = (first: number, step: number, size: number) =>
    Array.from({ length: size }, (_, index) => first + index * step)
  expect(slicesOf(range(5, 1, 1_000))).toEqual([{ firstId: 5, lastId: 1_004, step: 1, size: 1_000 }])
  for (const ids of [[], [7], [7, 9], range(1, 3, 10), [...range(1, 1, 5), ...range(100, 1, 5)], [1, 2, 4, 8, 9, 10]])
    expect(rebuilt(ids)).toEqual(ids)
})
