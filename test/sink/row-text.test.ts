import { expect, it } from 'vitest'
import { rowText } from '../../src/sink/delivery/row-text.ts'
import { raise, untouchable } from '../support/hostile.ts'

it('the text of a dead row says that the row could not be read, whatever reading it throws', () => {
  const rows = [
    untouchable(),
    {
      get id() {
        return raise(untouchable())
      },
    },
    { toString: () => raise(untouchable()), id: Symbol('x') },
  ]
  for (const row of rows) {
    const { text, isWhole } = rowText(row)
    expect([isWhole, JSON.parse(text)]).toEqual([false, expect.stringMatching(/^unreadable: /)])
  }
})
