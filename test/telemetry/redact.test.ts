import { describe, expect, it } from 'vitest'
import { redactFields } from '../../src/telemetry/redact.ts'

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

  it('shows an absent secret as absent', () => {
    expect(redactFields({ dsn: undefined, token: null })).toEqual({ dsn: undefined, token: null })
  })

  it('keeps dates, bytes and other values unchanged', () => {
    const fields = { at: new Date(0), bytes: Buffer.from('x'), big: 1n, tokens: 3, none: null }
    expect(redactFields(fields)).toEqual(fields)
  })

  it('marks values that are too deep, too long or circular instead of copying them', () => {
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

  it('limits a line when everything refers to everything', () => {
    const nodes = Array.from({ length: 60 }, (): Record<string, unknown> => ({}))
    for (const node of nodes) for (const [index, other] of nodes.entries()) node[`n${index}`] = other
    const copied = redactFields({ nodes })
    expect(JSON.stringify(copied).length).toBeLessThan(1_000_000)
  })
})
