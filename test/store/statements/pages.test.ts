import { expect, it } from 'vitest'
import { soundInPages } from '../../../src/store/statements/pages.ts'

const ROWS = Array.from({ length: 5_000 }, (_, index) => index + 1)

it('reads on past broken rows until the page is full, or no row is left', async () => {
  const reads: number[] = []
  const page = (limit: number, isSound: (row: number) => boolean, after = 0) =>
    soundInPages<number, string>(
      limit,
      async (size, last = after) => {
        reads.push(size)
        return ROWS.filter((row) => row > last).slice(0, size)
      },
      (rows) => rows.filter(isSound).map(String),
    )
  expect(await page(3, (row) => row !== 2)).toEqual(['1', '3', '4'])
  expect(reads).toEqual([3, 1])
  expect(await page(3, (row) => row > 2_500, 10)).toEqual(['2501', '2502', '2503'])
  expect(await page(10_000, (row) => row % 2 === 0)).toHaveLength(2_500)
  expect(await page(2, () => false)).toEqual([])
})
