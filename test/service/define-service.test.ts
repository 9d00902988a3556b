import { expect, it } from 'vitest'
import { defineService } from '../../src/service/define-service.ts'
import { ManualServiceClock, quiet } from '../support/service-clock.ts'

it('a service from plain functions starts, runs, ticks and stops like a class', async () => {
  const clock = new ManualServiceClock()
  const seen: string[] = []
  const child = defineService({
    name: 'child',
    start: () => seen.push('child start'),
    stop: () => seen.push('child stop'),
  })
  const service = defineService({
    name: 'cache',
    clock,
    children: [child],
    start: ({ defer, service }) => {
      seen.push(`start ${service.path}`)
      defer(() => seen.push('deferred'))
    },
    run: async ({ sleep, signal }) => {
      seen.push('run')
      while (await sleep('10s')) seen.push('loop')
      seen.push(`end ${signal.aborted}`)
    },
    stop: () => seen.push('stop'),
    timers: { expire: { every: '4s', immediate: true, run: () => seen.push('expire') } },
    crontabs: { report: { cron: '* * * * *', run: () => seen.push('report') } },
  })
  await service.start()
  await clock.pass(10_000, 1_000)
  expect(service.timerStats.map(({ name, schedule }) => [name, schedule])).toEqual([
    ['expire', '4s'],
    ['report', '* * * * *'],
  ])
  await service.stop()
  expect(seen).toEqual([
    ...['start cache', 'child start', 'run', 'expire', 'expire', 'expire', 'loop'],
    ...['stop', 'end true', 'child stop', 'deferred'],
  ])
  seen.length = 0
  await service.restart()
  await quiet()
  expect(seen).toEqual(['start cache', 'child start', 'run', 'expire'])
  await service.stop()
})

it('a run that throws crashes the service', async () => {
  const service = defineService({
    name: 'broken',
    run: () => {
      throw new Error('no luck')
    },
  })
  await service.start()
  await expect(service.waitUntilStopped()).rejects.toThrow('no luck')
  await service.stop()
})
