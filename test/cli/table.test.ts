import { expect, it } from 'vitest'
import { table } from '../../src/cli/output/table.ts'

it('aligns columns by their visible width, without colours', () => {
  const rows = [
    { id: 'a', state: 'ok' },
    { id: 'long', state: 'failed' },
  ]
  const text = table<(typeof rows)[number]>(
    [
      { title: 'state', cell: ({ state }) => state, paint: (shown) => `\u001b[31m${shown}\u001b[39m` },
      { title: 'id', cell: ({ id }) => id },
    ],
    rows,
  )
  expect(text).toBe('STATE   ID\n\u001b[31mok    \u001b[39m  a\n\u001b[31mfailed\u001b[39m  long')
})

it('escapes control characters of a cell, and cuts long cells', () => {
  const text = table([{ title: 'error', cell: (row: string) => row }], ['two\nlines\u001b[2J', 'x'.repeat(200)])
  expect(text).toBe(`ERROR\ntwo lines\\u001b[2J\n${'x'.repeat(99)}…`)
})
