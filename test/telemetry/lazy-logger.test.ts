import { pino } from 'pino'
import { expect, it } from 'vitest'
import { lazyLogger } from '../../src/telemetry/lazy-logger.ts'

it('is created with the first line of its level, also by a child, and then is the logger', () => {
  const lines: string[] = []
  let created = 0
  const log = lazyLogger('info', () => {
    created += 1
    return pino({ level: 'info', base: {} }, { write: (line) => void lines.push(line) })
  })
  const child = log.child({ run_id: 7 })
  child.debug('not logged')
  expect([log.level, log.isLevelEnabled('debug'), log.isLevelEnabled('warn'), created]).toEqual([
    'info',
    false,
    true,
    0,
  ])
  child.warn({ a: 1 }, 'first')
  log.info('second')
  expect(created).toBe(1)
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { run_id: 7, a: 1, msg: 'first' },
    { msg: 'second' },
  ])
  log.level = 'error'
  log.info('too low')
  expect([log.level, lines.length]).toEqual(['error', 2])
})

it('logs nothing at the level silent, and is never created', () => {
  const log = lazyLogger('silent', () => expect.unreachable())
  log.error('lost')
  log.child({}).fatal('lost')
  expect(log.isLevelEnabled('fatal')).toBe(false)
})
