import { closeSync, createWriteStream, openSync } from 'node:fs'
import { Writable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { consoleLog } from '../../src/service/console-log.ts'
import { eventually } from '../support/app.ts'

/** A stream that fails writes while `isFull`. */
class Disk extends Writable {
  isFull = false
  text = ''

  constructor() {
    super({ autoDestroy: false })
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    if (this.isFull) return done(new Error('ENOSPC'))
    this.text += chunk.toString()
    done()
  }
}

const LINE = /^\S+Z INFO (.*)$/

describe('consoleLog', () => {
  it('survives a stream that throws or fails, and reports how many lines were lost', () => {
    let isBroken = true
    let text = ''
    const log = consoleLog({
      write: (line) => {
        if (isBroken) throw new Error('EIO')
        text += line
      },
    })
    log.info('one')
    log.info('two')
    isBroken = false
    log.info('three')
    log.info('four')
    expect(text.trimEnd().split('\n')).toEqual([
      '2 lines of this log could not be written',
      expect.stringMatching(/ INFO three$/),
      expect.stringMatching(/ INFO four$/),
    ])
  })

  it('survives a full disk', async () => {
    const fd = openSync('/dev/full', 'w')
    onTestFinished(() => closeSync(fd))
    const stream = createWriteStream('', { fd, autoClose: false })
    const log = consoleLog(stream)
    let failed = false
    stream.on('error', () => (failed = true))
    log.info('one')
    await eventually(() => expect(failed).toBe(true))
    log.info('two')
  })

  it('writes from its level on, and JSON if asked', () => {
    const disk = new Disk()
    const log = consoleLog(disk, { ...systemClock, now: () => 0 }, { level: 'debug', json: true })
    log.trace('no')
    log.debug({ count: 1n, n: 2 }, 'yes')
    log.error({ n: 1, err: new TypeError('broken') }, 'two\nlines, password=hunter2')
    const lines = disk.text.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ time: '1970-01-01T00:00:00.000Z', level: 'debug', msg: 'yes' }),
      expect.objectContaining({ level: 'error', n: 1, err: expect.objectContaining({ type: 'TypeError' }) as object }),
    ])
    expect(disk.text).not.toContain('hunter2')
    consoleLog(disk, undefined, { level: 'silent' }).error('no')
    consoleLog(disk, undefined, { level: 'warn' }).info('no')
    expect(disk.text.trimEnd().split('\n')).toHaveLength(2)
  })

  it('adds one listener to a stream, for any number of logs', () => {
    const disk = new Disk()
    for (let index = 0; index < 20; index += 1) consoleLog(disk).info('x')
    expect(disk.listenerCount('error')).toBe(1)
  })

  it.each([
    ['\u001b[2J\u001b[31mred', '\\u001b[2J\\u001b[31mred'],
    ['one\n2026-01-01T00:00:00.000Z INFO false', 'one\\n2026-01-01T00:00:00.000Z INFO false'],
    ['one\r\u202etwo', 'one\\r\\u202etwo'],
  ])('shows %j on one line, with escapes', (hostile, shown) => {
    const disk = new Disk()
    const log = consoleLog(disk)
    log.info(hostile)
    log.info({ said: 1 }, hostile)
    const [first = '', second = ''] = disk.text.split('\n')
    expect(LINE.exec(first)?.[1]).toBe(shown)
    expect(LINE.exec(second)?.[1]).toBe(`${shown} {"said":1}`)
    expect(disk.text.split('\n')).toHaveLength(3)
  })

  it('shows errors and fields with escapes, and no secret', () => {
    const disk = new Disk()
    const log = consoleLog(disk)
    log.error({ err: new Error('bad\u001b[2J\n2026-01-01T00:00:00.000Z INFO false'), '\u009b': '\u001b' }, 'failed')
    log.info('connected with password=s3cr3t to mysql://me:s3cr3t@db/x')
    log.info({ headers: { 'x-api-key': 's3cr3t' } }, 'sent')
    expect(disk.text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
    expect(disk.text).not.toContain('s3cr3t')
    expect(disk.text.split('\n').filter((line) => line.startsWith('2026-01-01T00:00:00.000Z'))).toEqual([])
  })
})
