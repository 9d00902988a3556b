import { CommanderError } from 'commander'
import { describe, expect, it } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'

const USES = [
  ['windows', 'list', 'sync', '--from'],
  ['windows', 'coverage', 'sync', '--to'],
  ['backfill', 'create', 'sync', '--to', '2026-01-01T00:00:00Z', '--from'],
  ['backfill', 'create', 'sync', '--from', '2026-01-01T00:00:00Z', '--to'],
  ['runs', 'replay', '--job', 'sync', '--since'],
  ['run', 'sync', '--window'],
  ['config', 'set', 'sync', '{}', '--from'],
  ['schedule', 'preview', '--every', '1h', '--from'],
  ['why', 'sync'],
].map((words) => ({ words, name: words.join(' ') }))

const WRONG = [
  ...['2026-02-30T00:00:00Z', '2026-01-01T24:00:00Z', '2026-01-01T00:00:00', '2026-02-30', 'Jan 15 2026', '1.5'],
  ...['2026-1-1', '2026-01-01 00:00:00Z', '2026-01-01T00:00:00+2', '10000-01-01T00:00:00Z', ''],
]

describe('an instant on the command line', () => {
  it.each(USES)('is refused by piko $name when it is invalid', async ({ words }) => {
    for (const value of WRONG) {
      const error = await createProgram({ json: true })
        .configureOutput({ writeErr: () => undefined })
        .parseAsync([...words, value], { from: 'user' })
        .then(
          () => 'taken',
          (thrown: unknown) => thrown,
        )
      expect([value, error]).toEqual([value, expect.any(CommanderError)])
      expect((error as CommanderError).message).toMatch(/ is invalid.*\. expected /)
    }
  })
})
