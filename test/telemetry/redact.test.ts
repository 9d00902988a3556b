import { describe, expect, it } from 'vitest'
import { redactFields, redactText } from '../../src/telemetry/redact.ts'

describe('redactText', () => {
  it.each([
    ['mysql://root:pw@db:3306/piko', 'mysql://root:[redacted]@db:3306/piko'],
    ['mysql+aiomysql://root:pw@db/piko', 'mysql+aiomysql://root:[redacted]@db/piko'],
    ['mysql://:pw@db', 'mysql://:[redacted]@db'],
    ['mysql://root:p@ss/w#rd@db:3306/piko', 'mysql://root:[redacted]@db:3306/piko'],
    ['mysql://root:12345@db:3306/piko', 'mysql://root:[redacted]@db:3306/piko'],
    ['{"url":"https://u:pw@h/","mail":"a@b"}', '{"url":"https://u:[redacted]@h/","mail":"a@b"}'],
    ['GET https://api/x?access_token=abc&page=2 failed', 'GET https://api/x?access_token=[redacted]&page=2 failed'],
    ['password=pw, next', 'password=[redacted], next'],
  ])('hides the secret of %s', (text, expected) => {
    expect(redactText(text)).toBe(expected)
  })

  it.each([
    'http://127.0.0.1:8080/readyz by ops@example.com',
    'http://host:8080',
    'http://h:8080/?mail=a@b',
    'at 10:30, a@b',
    '',
  ])('leaves %j as it is', (text) => {
    expect(redactText(text)).toBe(text)
  })

  it('takes time in proportion to the length of a line without spaces', () => {
    const line = 'a://b:c'.repeat(100_000)
    const started = performance.now()
    redactText(line)
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})

describe('redactFields', () => {
  it.each(['password', 'passwd', 'token', 'secret', 'dsn', 'Authorization', 'MYSQL_DSN', 'clientSecret', 'api_key'])(
    'hides the value of %s at every level',
    (key) => {
      const hidden = '[redacted]'
      expect(redactFields({ [key]: 'x', a: { [key]: 'x', b: [{ [key]: 1 }] } })).toEqual({
        [key]: hidden,
        a: { [key]: hidden, b: [{ [key]: hidden }] },
      })
    },
  )

  it('keeps an absent secret visible as absent', () => {
    expect(redactFields({ dsn: undefined, token: null })).toEqual({ dsn: undefined, token: null })
  })

  it('keeps dates, bytes and other values as they are', () => {
    const fields = { at: new Date(0), bytes: Buffer.from('x'), big: 1n, tokens: 3, none: null }
    expect(redactFields(fields)).toEqual(fields)
  })

  it('names what is too deep, too long or circular instead of copying it', () => {
    const round: Record<string, unknown> = { a: 1 }
    round['self'] = round
    const fields = {
      round,
      list: Array.from({ length: 103 }, (_, index) => index),
      deep: { b: { c: { d: { e: {} } } } },
    }
    const copied = redactFields(fields)
    expect(copied['round']).toEqual({ a: 1, self: '[Circular]' })
    expect(copied['list']).toHaveLength(101)
    expect(copied['list']).toContain('… 3 more')
    expect(copied['deep']).toEqual({ b: { c: { d: { e: '[Object]' } } } })
  })

  it('keeps a line bounded when everything refers to everything', () => {
    const nodes = Array.from({ length: 60 }, (): Record<string, unknown> => ({}))
    for (const node of nodes) for (const [index, other] of nodes.entries()) node[`n${index}`] = other
    const copied = redactFields({ nodes })
    expect(JSON.stringify(copied).length).toBeLessThan(1_000_000)
  })
})
