import { describe, expect, it } from 'vitest'
import { errorOf, Project } from './project.ts'

const JOBS = `
import { defineJob } from 'piko'
export const daily = defineJob(
  {
    id: 'daily',
    cron: ['0 6 * * *', '0 18 * * *'],
    timezone: 'Europe/Rome',
    exclude: (instant, local) => local.date === '2026-03-29' && local.time === '06:00:00',
    windows: { start: '2026-03-28T12:00:00Z' },
  },
  () => {},
)
export const hand = defineJob({ id: 'hand' }, () => {})
`

describe('piko schedule preview', () => {
  it('shows a schedule around a clock change, without a project', async () => {
    const project = new Project()
    const args = ['--cron', '30 2 * * *', '--timezone', 'America/New_York', '--from', '2026-03-07T00:00:00Z']
    const { stdout, code } = await project.piko(['schedule', 'preview', ...args, '--count', '2', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      ticks: [
        { at: '2026-03-07T07:30:00Z', local: '2026-03-07T02:30:00', offset: '-05:00', transition: null },
        { at: '2026-03-08T07:00:00Z', local: '2026-03-08T03:00:00', offset: '-04:00', transition: 'gap' },
      ],
      windows: [
        { start: '2026-03-06T07:30:00Z', end: '2026-03-07T07:30:00Z', due: '2026-03-07T07:30:00Z' },
        { start: '2026-03-07T07:30:00Z', end: '2026-03-08T07:00:00Z', due: '2026-03-08T07:00:00Z' },
      ],
    })
    const readable = await project.piko(['schedule', 'preview', ...args, '--count', '2', '--dst-gap', 'skip'])
    expect(
      readable.stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(/ {2,}/)),
    ).toEqual([
      ['TICK', 'LOCAL', 'CLOCKS', 'WINDOW FROM'],
      ['2026-03-07T07:30:00Z', '2026-03-07 02:30:00 -05:00', '2026-03-06T07:30:00Z'],
      ['2026-03-09T06:30:00Z', '2026-03-09 02:30:00 -04:00', '2026-03-07T07:30:00Z'],
    ])
    // A whole schedule as JSON can have a calendar.
    const whole = { kind: 'cron', cron: '0 6 * * *', timezone: 'Europe/Rome', exclude: { weekdays: ['sun'] } }
    const from = ['--from', '2026-03-07T00:00:00Z', '--count', '2', '--json']
    const calendar = await project.piko(['schedule', 'preview', '--schedule', JSON.stringify(whole), ...from])
    expect((JSON.parse(calendar.stdout) as { ticks: { at: string }[] }).ticks.map(({ at }) => at)).toEqual([
      '2026-03-07T05:00:00Z',
      '2026-03-09T05:00:00Z',
    ])
    expect(errorOf(await project.piko(['schedule', 'preview', '--schedule', '[]', '--json'])).message).toContain(
      'JSON object',
    )
    expect(project.has('.piko')).toBe(false)
  })

  it("shows a job's own schedule with its calendar and its windows", async () => {
    const project = new Project({ 'jobs.mjs': JOBS })
    const args = ['schedule', 'preview', 'daily', '--from', '2026-03-28T12:00:00Z', '--count', '2', '--json']
    const { stdout } = await project.piko(args)
    expect(JSON.parse(stdout)).toMatchObject({
      ticks: [{ at: '2026-03-28T17:00:00Z' }, { at: '2026-03-29T16:00:00Z', offset: '+02:00' }],
      windows: [
        { start: '2026-03-28T12:00:00Z', end: '2026-03-28T17:00:00Z' },
        { start: '2026-03-28T17:00:00Z', end: '2026-03-29T16:00:00Z' },
      ],
    })
    expect((await project.piko(['schedule', 'preview', 'hand'])).stdout).toBe('no ticks\n')
  })

  it.each([
    [[], 'USAGE'],
    [['--timezone', 'Europe/Rome'], 'USAGE'],
    [['--every', '10s', '--at', '2026-01-01T00:00:00Z'], 'USAGE'],
    [['--every', '10s', '--dst-gap', 'skip'], 'USAGE'],
    [['--cron', '0 * * * *', '--from', 'yesterday'], 'USAGE'],
    [['--cron', '61 * * * *'], 'SCHEDULE_INVALID'],
    [['--every', '10x'], 'DURATION_INVALID'],
  ])('refuses %j', async (args, code) => {
    const result = await new Project().piko(['schedule', 'preview', ...args, '--json'])
    expect(errorOf(result).code).toBe(code)
    expect(result.code).toBe(2)
  })
})
