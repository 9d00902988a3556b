import { describe, it } from 'vitest'
import { defineJob, jobSpec, job } from '../../src/index.ts'

const nothing = (): void => {}
const text: string = '0 0 * * *'
const zone: string = 'Europe/Rome'

describe('a literal of a spec that can not be valid does not compile:', () => {
  it('a time zone', () => {
    defineJob({ id: 'a', cron: '@daily', timezone: 'Europe/Berlin' }, nothing)
    defineJob({ id: 'a', cron: '@daily', timezone: 'America/Argentina/Buenos_Aires' }, nothing)
    // @ts-expect-error no such zone
    void (() => defineJob({ id: 'a', cron: '@daily', timezone: 'Europe/Berln' }, nothing))
    // @ts-expect-error no such zone
    void (() => jobSpec({ id: 'a', cron: '@daily', timezone: 'Berlin' }))
    // @ts-expect-error no such zone
    void (() => job({ id: 'a', cron: '@daily', timezone: 'CEST' }))
  })

  it('a cron expression', () => {
    for (const cron of ['*/5 * * * *'] as const) defineJob({ id: 'a', cron }, nothing)
    defineJob({ id: 'a', cron: '0 0 L 1-12/2 MON-FRI' }, nothing)
    defineJob({ id: 'a', cron: ' 59  23 31 12  5#2 ' }, nothing)
    defineJob({ id: 'a', cron: '05 08,17 15W * 7' }, nothing)
    defineJob({ id: 'a', cron: ['0 6 * * 1-5', '0 8 * * 6,0'] }, nothing)
    defineJob({ id: 'a', cron: '30 0 0 1 JAN *' }, nothing)
    defineJob({ id: 'a', cron: text, timezone: zone }, nothing)
    // @ts-expect-error three fields
    void (() => defineJob({ id: 'a', cron: '0 0 *' }, nothing))
    // @ts-expect-error seven fields
    void (() => defineJob({ id: 'a', cron: '0 0 0 * * * 2026' }, nothing))
    // @ts-expect-error no minute 60
    void (() => defineJob({ id: 'a', cron: '60 * * * *' }, nothing))
    // @ts-expect-error no hour 24
    void (() => jobSpec({ id: 'a', cron: '0 8,24 * * *' }))
    // @ts-expect-error no day 0
    void (() => defineJob({ id: 'a', cron: '0 0 0 * *' }, nothing))
    // @ts-expect-error the second of two texts has no month 13
    void (() => defineJob({ id: 'a', cron: ['0 0 1 1 *', '0 0 1 13 *'] }, nothing))
    // @ts-expect-error no such nickname
    void (() => job({ id: 'a', cron: '@reboot' }))
  })

  it('a rate', () => {
    defineJob({ id: 'a', rate: '5/s' }, nothing)
    defineJob({ id: 'a', rate: '50/10s' }, nothing)
    // @ts-expect-error no such unit
    void (() => defineJob({ id: 'a', rate: '5/sec' }, nothing))
    // @ts-expect-error no count
    void (() => defineJob({ id: 'a', rate: 'five/s' }, nothing))
    // @ts-expect-error no slash
    void (() => defineJob({ id: 'a', rate: { rate: '5 per s', key: () => 'a' } }, nothing))
  })
})
