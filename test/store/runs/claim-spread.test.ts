import { describe, expect, it } from 'vitest'
import { ClaimSpread, type Share } from '../../../src/store/runs/claim/claim-spread.ts'

describe('the share of a claim', () => {
  /** The share that each try of one claim takes. */
  const tries = async (spread: ClaimSpread, count: number): Promise<(number | undefined)[]> => {
    const shares: (Share | undefined)[] = []
    await spread.claim(async (share) => {
      for (let index = 0; index < count; index++) shares.push(share())
    })
    for (const share of shares) if (share) expect(share.index).toBeLessThan(share.of)
    return shares.map((share) => share?.of)
  }

  it('is the whole queue without conflicts and after a single one', async () => {
    const spread = new ClaimSpread()
    expect(await tries(spread, 1)).toEqual([undefined])
    expect(await tries(spread, 2)).toEqual([undefined, undefined])
    expect(await tries(spread, 1)).toEqual([undefined])
  })

  it('shrinks with each conflict in a row, and grows with each claim without one', async () => {
    const spread = new ClaimSpread()
    expect(await tries(spread, 4)).toEqual([undefined, undefined, 2, 4])
    expect(await tries(spread, 2)).toEqual([4, 8])
    for (const of of [8, 4, 2, undefined, undefined]) expect(await tries(spread, 1)).toEqual([of])
    const many = await tries(spread, 20)
    expect(many.at(-1)).toBe(32)
  })
})
