import { describe, expect, it } from 'vitest'
import { batchesOf } from '../../../src/sql/statement-size.ts'
import { enqueueIn } from '../../../src/store/runs/enqueue-in.ts'
import { keysInOrder } from '../../../src/store/runs/idempotency-keys.ts'
import type { NewRun } from '../../../src/store/runs/new-run.ts'
import { sortInTurns } from '../../../src/store/statements/sort-in-turns.ts'
import { describeEachStore } from '../../support/databases.ts'

/** Takes longer than a turn of the event loop may, also once the code is compiled. */
const COUNT = 1_000_000

class LookedAt extends Error {}

/** Many runs, of which the last one says whether the event loop has turned since the first one was looked at, and refuses. */
function manyRuns(run: NewRun): { runs: NewRun[]; hadTurn: () => boolean | undefined } {
  let turned = false
  let hadTurn: boolean | undefined
  const first = {
    ...run,
    get unique() {
      setImmediate(() => (turned = true))
      return run.unique
    },
  }
  const last = {
    ...run,
    get input(): never {
      hadTurn = turned
      throw new LookedAt()
    },
    get unique() {
      hadTurn = turned
      return run.unique
    },
  }
  const runs = Array.from({ length: COUNT }, (_, index): NewRun => ({ ...run, input: { page: index, shop: 'eu' } }))
  return { runs: [first, ...runs, last], hadTurn: () => hadTurn }
}

const RUN: NewRun = { jobId: 'job', kind: 'manual', priority: 0 }

describeEachStore((store) => {
  it('gives the event loop turns before many runs are stored in a transaction', async () => {
    const database = await store.open()
    const { runs, hadTurn } = manyRuns(RUN)
    const storing = database.sql.transaction((trx) => enqueueIn(database, trx, runs))
    await expect(storing).rejects.toThrow(LookedAt)
    expect(hadTurn()).toBe(true)
  })

  it('gives the event loop turns while many idempotency keys are put in order', async () => {
    const { dialect } = await store.open()
    const { runs, hadTurn } = manyRuns({ ...RUN, unique: { key: 'a', states: ['queued'] } })
    expect(await keysInOrder(dialect, runs)).toEqual(['a'])
    expect(hadTurn()).toBe(true)
  })
})

describe('many strings', () => {
  it.each([0, 1, 2, 1_999, 2_000, 2_001, 5_000, 60_001])('are sorted in turns as at once: %i', async (count) => {
    const texts = Array.from({ length: count }, (_, index) => `${(index * 7_919) % 10_007} ä ${index % 3}`)
    expect(await sortInTurns(texts)).toEqual(texts.toSorted())
  })

  it('let the event loop turn while they are sorted', async () => {
    const texts = Array.from({ length: COUNT }, (_, index) => `key ${(index * 7_919) % COUNT}`)
    let turned = false
    setImmediate(() => (turned = true))
    await sortInTurns(texts)
    expect(turned).toBe(true)
  })
})

describe('the batches of many rows', () => {
  it('are measured one by one, as they are asked for', () => {
    let measured = 0
    const rows = Array.from({ length: 1_000 }, (_, index) => index)
    const batches = batchesOf(rows, () => (measured += 1) && 1, { maxRows: 10, maxBytes: 1_000 })
    expect(batches.next().value).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(measured).toBe(11)
    expect([...batches].flat()).toEqual(rows.slice(10))
  })
})
