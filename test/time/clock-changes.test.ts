import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Schedule, type ScheduleSpec } from '../../src/time/schedule.ts'

const page = readFileSync(new URL('../../docs/schedules.md', import.meta.url), 'utf8')

const COLUMNS = [
  'auto',
  { gap: 'skip', overlap: 'first' },
  { gap: 'skip', overlap: 'second' },
  { gap: 'skip', overlap: 'both' },
  { gap: 'after', overlap: 'first' },
  { gap: 'after', overlap: 'second' },
  { gap: 'after', overlap: 'both' },
] as const

/** The cells of the table whose rows have a zone in the second column. */
const rows = page
  .split('\n')
  .filter((line) => /^\| `[^`]+` +\| [A-Z]\w+\/\w+ +\|/.test(line))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )

/** The ticks of a local day with a change of the clocks, as `07:00Z`, `05:30Z, 06:30Z` or `-`. */
function ticksOf(spec: ScheduleSpec, from: string, to: string): string {
  const ticks = Schedule.of(spec).upcoming(new Date(Date.parse(from) - 1), 100)
  const texts = ticks.filter((tick) => tick < new Date(to)).map((tick) => `${tick.toISOString().slice(11, 16)}Z`)
  return texts.length > 0 ? texts.join(', ') : '-'
}

describe('the table of clock changes in docs/schedules.md', () => {
  it('has the expected cases', () => {
    expect(rows.map(([cron, zone, day]) => [cron, zone, day].join(' '))).toEqual([
      '`30 2 * * *` America/New_York 2026-03-08',
      '`30 1 * * *` America/New_York 2026-11-01',
      '`30 2 * * *` Europe/Rome 2026-03-29',
      '`30 2 * * *` Europe/Rome 2026-10-25',
      '`15 2 * * *` Australia/Lord_Howe 2026-10-04',
      '`45 1 * * *` Australia/Lord_Howe 2026-04-05',
      '`30 0 * * *` America/Santiago 2026-09-06',
      '`30 23 * * *` America/Santiago 2026-04-04',
      '`30 2 * * *` Africa/Casablanca 2026-03-22',
      '`30 2 * * *` Africa/Casablanca 2026-02-15',
      '`0 12 * * *` Pacific/Apia 2011-12-30',
    ])
  })

  it.each(rows)('says what happens to %s in %s on %s', (...cells) => {
    const [cron = '', timezone = '', day = '', span = '', ...expected] = cells
    const [from = '', to = ''] = span.split(' – ')
    const [start, end] = [from, to].map((text) => `${text.replace(' ', 'T').replace('Z', ':00Z')}`) as [string, string]
    const found = COLUMNS.map((dst) =>
      ticksOf({ kind: 'cron', cron: cron.replaceAll('`', ''), timezone, dst }, start, end),
    )
    expect({ day, found }).toEqual({ day, found: expected })
  })

  it('has every combination, and names them', () => {
    const heads =
      page
        .split('\n')
        .find((line) => line.includes('| Local day'))
        ?.split('|')
        .slice(5, -1) ?? []
    expect(heads.map((head) => head.trim().replaceAll(/[`']/g, ''))).toEqual(
      COLUMNS.map((dst) => (dst === 'auto' ? dst : `${dst.gap}, ${dst.overlap}`)),
    )
  })
})
