import { describe, expect, it } from 'vitest'
import { crontab, timer } from '../../src/service/decorators.ts'
import { Service } from '../../src/service/service.ts'
import { ManualServiceClock, quiet } from '../support/service-clock.ts'

class Ticking extends Service {
  readonly fired: number[] = []
  /** How long each run takes, by its number; others take no time. */
  readonly takes: Record<number, number> = {}

  async tick(): Promise<void> {
    const run = this.fired.push(this.clock.monotonic())
    const ms = this.takes[run]
    if (ms !== undefined) await this.sleep(ms)
  }
}

class EverySecond extends Ticking {
  @timer('1s')
  override tick(): Promise<void> {
    return super.tick()
  }
}

describe('@timer', () => {
  it('fires first after exactly one interval, then at a fixed phase however long a run takes', async () => {
    const clock = new ManualServiceClock()
    const service = new EverySecond({ clock })
    Object.assign(service.takes, { 1: 300, 2: 999 })
    await service.start()
    await clock.pass(999)
    expect(service.fired).toEqual([])
    await clock.pass(4_001, 1)
    expect(service.fired).toEqual([1_000, 2_000, 3_000, 4_000, 5_000])
    expect(service.timerStats).toEqual([
      { name: 'tick', schedule: '1s', fired: 5, skipped: 0, lastDriftMs: 0, maxDriftMs: 0 },
    ])
    await service.stop()
  })

  it('also fires at the start when it is immediate', async () => {
    const clock = new ManualServiceClock()
    class Immediate extends Ticking {
      @timer('1s', { immediate: true })
      override tick(): Promise<void> {
        return super.tick()
      }
    }
    const service = new Immediate({ clock })
    await service.start()
    await clock.pass(2_000, 500)
    expect(service.fired).toEqual([0, 1_000, 2_000])
    await service.stop()
  })

  it('fires first after its delay, then once per interval', async () => {
    const clock = new ManualServiceClock()
    class Delayed extends Ticking {
      @timer('1s', { after: '200ms' })
      override tick(): Promise<void> {
        return super.tick()
      }
    }
    const service = new Delayed({ clock })
    await service.start()
    await clock.pass(2_500, 100)
    expect(service.fired).toEqual([200, 1_200, 2_200])
    await service.stop()
    expect(() => timer('1s', { after: '1s', immediate: true })).toThrow('pass one of them')
    expect(() => timer('1s', { after: 'soon' as never })).toThrow('soon')
    expect(() => timer('1s', { aftr: '1s', immediate: 'yes' } as never)).toThrow(/unknown.*aftr.*immediate is "yes"/s)
    expect(() => crontab('* * * * *', { timezones: 'UTC' } as never)).toThrow(/timezones/)
  })

  it('never overlaps: ticks during a run are skipped, counted and reported, and the phase stays', async () => {
    const clock = new ManualServiceClock()
    const service = new EverySecond({ clock })
    service.takes[1] = 2_500
    const skips: unknown[] = []
    service.observe({ timerSkipped: (...skip) => skips.push(skip) })
    await service.start()
    await clock.pass(5_000, 100)
    expect(service.fired).toEqual([1_000, 4_000, 5_000])
    expect(skips).toEqual([[service, 'tick', 2]])
    expect(service.timerStats[0]).toMatchObject({ fired: 3, skipped: 2 })
    await service.stop()
  })

  it('measures late wake-ups, which do not move the phase', async () => {
    const clock = new ManualServiceClock()
    const service = new EverySecond({ clock })
    await service.start()
    await clock.pass(1_400)
    await clock.pass(600)
    expect(service.fired).toEqual([1_400, 2_000])
    expect(service.timerStats[0]).toMatchObject({ skipped: 0, lastDriftMs: 0, maxDriftMs: 400 })
    await clock.pass(3_250)
    expect(service.fired).toEqual([1_400, 2_000, 5_250])
    expect(service.timerStats[0]).toMatchObject({ skipped: 2, lastDriftMs: 2_250, maxDriftMs: 2_250 })
    await clock.pass(750)
    expect(service.fired.at(-1)).toBe(6_000)
    await service.stop()
  })

  it('crashes the service when it throws, and starts anew with a restart', async () => {
    const clock = new ManualServiceClock()
    let isBroken = true
    class Failing extends Ticking {
      @timer('1s')
      override async tick(): Promise<void> {
        await super.tick()
        if (isBroken) throw new Error('tick broke')
      }
    }
    const service = new Failing({ clock })
    await service.start()
    await clock.pass(1_000)
    expect([service.state, service.crashReason?.message]).toEqual(['crashed', 'tick broke'])
    isBroken = false
    await clock.pass(500)
    await service.restart()
    await clock.pass(1_000)
    expect(service.fired).toEqual([1_000, 2_500])
    expect(service.timerStats).toMatchObject([{ fired: 1 }])
    await service.stop()
  })

  it('refuses an interval of 0 at the decoration', () => {
    expect(() => timer('0s')).toThrow('@timer is "0s"; expected a length of time above 0')
    expect(() => timer('soon' as '1s')).toThrow('@timer is "soon"')
  })

  it('wakes up on time by the real clock', async () => {
    const service = new (class extends Ticking {
      @timer('20ms')
      override tick(): Promise<void> {
        return super.tick()
      }
    })()
    const before = performance.now()
    await service.start()
    await expect.poll(() => service.fired.length, { interval: 5 }).toBeGreaterThanOrEqual(5)
    await service.stop()
    const [first = 0] = service.fired
    expect(first - before).toBeGreaterThanOrEqual(20)
    expect(service.timerStats[0]?.lastDriftMs).toBeGreaterThanOrEqual(0)
  })
})

class Crontabs extends Service {
  readonly fired: string[] = []

  @crontab('*/10 * * * *')
  async onTenth(): Promise<void> {
    this.fired.push(new Date(this.clock.now()).toISOString().slice(0, 19))
  }
}

describe('@crontab', () => {
  it('fires at each tick of the wall clock', async () => {
    const clock = new ManualServiceClock('2026-03-01T11:55:30Z')
    const service = new Crontabs({ clock })
    await service.start()
    await clock.pass(30 * 60_000, 30_000)
    expect(service.fired).toEqual(['2026-03-01T12:00:00', '2026-03-01T12:10:00', '2026-03-01T12:20:00'])
    expect(service.timerStats).toMatchObject([{ name: 'onTenth', schedule: '*/10 * * * *', fired: 3, skipped: 0 }])
    await service.stop()
  })

  it('follows its time zone', async () => {
    const fired: string[] = []
    const clock = new ManualServiceClock('2026-07-01T03:59:00Z')
    class Morning extends Service {
      @crontab('0 6 * * *', { timezone: 'Europe/Berlin' })
      wake(): void {
        fired.push(new Date(this.clock.now()).toISOString())
      }
    }
    const service = new Morning({ clock })
    await service.start()
    await clock.pass(60_000, 30_000)
    expect(fired).toEqual(['2026-07-01T04:00:00.000Z'])
    await service.stop()
  })

  it('fires once and skips the rest when the clock is set forward', async () => {
    const clock = new ManualServiceClock('2026-03-01T12:05:00Z')
    const service = new Crontabs({ clock })
    const skips: unknown[] = []
    service.observe({ timerSkipped: (_service, name, count) => skips.push([name, count]) })
    await service.start()
    await quiet()
    clock.setForward(60 * 60_000)
    await clock.pass(30_000)
    expect(service.fired).toEqual(['2026-03-01T13:05:30'])
    expect(skips).toEqual([['onTenth', 5]])
    await clock.pass(5 * 60_000, 30_000)
    expect(service.fired.at(-1)).toBe('2026-03-01T13:10:00')
    await service.stop()
  })

  it('starts anew after a large step back of the clock, and fires nothing twice after a small one', async () => {
    const clock = new ManualServiceClock('2026-03-01T11:59:30Z')
    const service = new Crontabs({ clock })
    await service.start()
    await clock.pass(30_000)
    clock.setForward(-45_000)
    await clock.pass(90_000, 15_000)
    expect(service.fired).toEqual(['2026-03-01T12:00:00'])
    clock.setForward(-3_600_000)
    await clock.pass(10 * 60_000, 5_000)
    expect(service.fired).toEqual(['2026-03-01T12:00:00', '2026-03-01T11:10:00'])
    await service.stop()
  })

  it('never overlaps: a tick at the end of a run fires, earlier ones are skipped', async () => {
    const clock = new ManualServiceClock('2026-03-01T11:59:30Z')
    class Slow extends Crontabs {
      @crontab('*/10 * * * *')
      override async onTenth(): Promise<void> {
        await super.onTenth()
        if (this.fired.length === 1) await this.sleep('30m')
      }
    }
    const service = new Slow({ clock })
    await service.start()
    await clock.pass(31 * 60_000, 30_000)
    expect(service.fired).toEqual(['2026-03-01T12:00:00', '2026-03-01T12:30:00'])
    expect(service.timerStats).toMatchObject([{ fired: 2, skipped: 2 }])
    await service.stop()
  })

  it('refuses a wrong expression at the decoration', () => {
    expect(() => crontab('every day')).toThrow(/cron is "every day"/)
    expect(() => crontab('* * * * *', { timezone: 'Moon' })).toThrow(/timezone is "Moon"/)
  })
})
