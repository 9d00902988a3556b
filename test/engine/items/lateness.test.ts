import { expect, it } from 'vitest'
import { Lateness } from '../../../src/engine/items/lateness.ts'
import { allowedLateMs, placesFrom, spacingMs } from '../../../src/item/lane.ts'

it('does not count what all items are late by, and refuses those that one stall has delayed', () => {
  const lateness = new Lateness()
  for (let claim = 0; claim < 40; claim++) expect(lateness.isTooLate({}, 200 + (claim % 3), 50)).toBe(false)

  const stalled = {}
  for (let item = 0; item < 40; item++) expect(lateness.isTooLate(stalled, 700, 50)).toBe(true)

  expect(lateness.isTooLate({}, 200, 50)).toBe(false)
})

it('gives items no place before the claim is likely to be over', () => {
  const lane = { now: 1_000, freeAt: 0, most: 2 }

  expect(placesFrom({ ...lane, leadMs: 400, spacing: 100 })).toEqual({ at: [1_400, 1_500], freeAt: 1_600 })
  expect(placesFrom({ ...lane, leadMs: 400, spacing: 0 })).toEqual({ at: [1_000, 1_000], freeAt: 0 })
  expect(placesFrom({ ...lane, leadMs: 0, spacing: 0, freeAt: 2_000 }).at).toEqual([])
})

it('keeps the time between two items even if the first begins late and takes longer to arrive', () => {
  expect(spacingMs(undefined, 1, 2_000) - allowedLateMs(undefined, 2_000)).toBe(2_100)
})
